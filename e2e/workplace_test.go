package e2e

import (
	"os"
	"path/filepath"
	"testing"
)

// Where a person stands is a folder, by whatever links they came: the default working directory and relative grants are in it. A
// path that is written down is taken as it is, and refused if it leads through a link.
func TestAFolderReachedByALink(t *testing.T) {
	each(t, func(t *testing.T, u user) {
		b := newBench(t, u)
		b.write("real/file", "content\n", 0o600)
		link := filepath.Join(b.dir, "link")
		if err := os.Symlink("real", link); err != nil {
			t.Fatal(err)
		}
		cmd := b.command("run", "--read", "file:/shown", "--", "sh", "-c", "pwd; cat file /shown")
		cmd.Dir, cmd.Env = link, append(cmd.Env, "PWD="+link)
		if out, want := b.run(cmd).ok(t), filepath.Join(b.dir, "real")+"\ncontent\ncontent\n"; out != want {
			t.Errorf("got %q, want %q", out, want)
		}
		b.cell([]string{"--workdir", link}, "true").fails(t, 125, "symbolic link", "real path: "+filepath.Join(b.dir, "real"))
	})
}
