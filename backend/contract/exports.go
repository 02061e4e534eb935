//go:build linux

package contract

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"
	"testing"

	"cellos.io/cellos/supervisor"
)

// taken keeps what is exported.
type taken struct{ files []string }

func (*taken) Target(int) supervisor.Target {
	return supervisor.Target{Kind: "local", Destination: "memory"}
}

func (x *taken) Export(_ context.Context, _ int, f fs.File) (supervisor.Exported, error) {
	fi, err := f.Stat()
	if err != nil {
		return supervisor.Exported{}, err
	}
	b, err := io.ReadAll(f)
	if err == nil && int64(len(b)) != fi.Size() {
		err = fmt.Errorf("%d bytes of %d", len(b), fi.Size())
	}
	x.files = append(x.files, string(b))
	sum := sha256.Sum256(b)
	return supervisor.Exported{Bytes: int64(len(b)), SHA256: hex.EncodeToString(sum[:])}, err
}

func artifacts(paths ...string) string {
	var list []string
	for i, p := range paths {
		list = append(list, fmt.Sprintf(`{"name":"a%d","path":%q}`, i, p))
	}
	return `,"export":{"artifacts":[` + strings.Join(list, ",") + `]}`
}

// exported: files of the working directory, of /tmp, an empty one and a large one arrive; a link, a folder, a file without permission and
// one with two names do not.
func exported(t *testing.T, s Subject) {
	var x taken
	script := "echo made >made; echo tmp >/tmp/t; : >none; head -c 3000001 /dev/zero >big; ln -s made link; mkdir d; echo x >d/closed; chmod 0 d/closed; ln none twin; mv twin d/twin"
	l := s.runWith(t, ask{argv: []string{"/bin/sh", "-c", script}, spec: artifacts("made", "/tmp/t", "big")}, nil, nil, &x)
	want := []string{"made\n", "tmp\n", strings.Repeat("\x00", 3000001)}
	if l.end.Err != nil || !slices.Equal(x.files, want) {
		t.Errorf("%v, %d files", l.end.Err, len(x.files))
	}
	for _, bad := range few(s, [2]string{"link", "symbolic link"}, [2]string{"d", "folder"}, [2]string{"d/closed", "no right|permission denied"}, [2]string{"none", "2 names"}) {
		var x taken
		l := s.runWith(t, ask{argv: []string{"/bin/sh", "-c", script}, spec: artifacts("made", bad[0])}, nil, nil, &x)
		if l.end.Code != supervisor.ExitAfter || l.end.Err == nil || !containsAny(l.end.Err.Error(), bad[1]) || len(x.files) != 1 {
			t.Errorf("%s: %+v, %d files", bad[0], l.end, len(x.files))
		}
	}
}

// containsAny reports whether one of the texts is in s: root asks about the rights of the cell's user, and an ordinary user has them itself.
func containsAny(s, texts string) bool {
	return slices.ContainsFunc(strings.Split(texts, "|"), func(x string) bool { return strings.Contains(s, x) })
}
