package keys

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Dir returns where the keys of a user are kept: $XDG_CONFIG_HOME/cellos/keys, else $HOME/.config/cellos/keys, else, without a
// home directory, keys below the state directory.
func Dir(getenv func(string) string, stateDir string) string {
	if p := getenv("XDG_CONFIG_HOME"); filepath.IsAbs(p) {
		return filepath.Join(p, "cellos", "keys")
	}
	if p := getenv("HOME"); filepath.IsAbs(p) && usable(p) {
		return filepath.Join(p, ".config", "cellos", "keys")
	}
	return filepath.Join(stateDir, "keys")
}

// Store is a directory of keys: <name>.key (private), <name>.pub, and current, which names the key to sign with. Names
// are the hexadecimal digits of key ids.
type Store struct {
	dir string
	uid int
}

const (
	privateSuffix = ".key"
	publicSuffix  = ".pub"
	currentFile   = "current"
)

// Open returns the store in dir, which need not exist yet. uid is the user that must own private keys.
func Open(dir string, uid int) *Store { return &Store{dir, uid} }

// Path returns the directory of the store.
func (s *Store) Path() string { return s.dir }

// Info describes a key of the store.
type Info struct {
	ID      string
	Public  ed25519.PublicKey
	Path    string    // of the public key
	Current bool      // new runs are signed with it
	Private bool      // the private key is still there
	Created time.Time // of the public key's file
}

// Current returns the key to sign with, and makes the store's first one if there is none (made). That the private key is the one whose
// name its file has is checked beside the caller: with another one, Sign fails.
func (s *Store) Current() (key *Key, made bool, err error) {
	name, err := s.current()
	if errors.Is(err, fs.ErrNotExist) {
		key, err = s.first()
		return key, err == nil, err
	}
	if err != nil {
		return nil, false, err
	}
	seed, err := readSeed(filepath.Join(s.dir, name+privateSuffix), s.uid)
	if err != nil {
		return nil, false, err
	}
	return named("sha256:"+name, seed), false, nil
}

// first makes the first key. Of several processes that find none at the same moment one wins: the file current appears
// whole and once, by link(2).
func (s *Store) first() (*Key, error) {
	key, err := s.add()
	if err != nil {
		return nil, err
	}
	name := fileName(key.id)
	temp := filepath.Join(s.dir, "."+name)
	if err = os.WriteFile(temp, []byte(name+"\n"), 0o600); err == nil {
		err = os.Link(temp, filepath.Join(s.dir, currentFile))
	}
	os.Remove(temp)
	if errors.Is(err, fs.ErrExist) {
		s.remove(name)
		key, _, err = s.Current()
		return key, err
	}
	if err != nil {
		s.remove(name) // nobody would know that it is there
		return nil, fmt.Errorf("choosing the first key: %w", err)
	}
	return key, nil
}

func (s *Store) remove(name string) {
	os.Remove(filepath.Join(s.dir, name+privateSuffix))
	os.Remove(filepath.Join(s.dir, name+publicSuffix))
}

// current returns the name of the current key.
func (s *Store) current() (string, error) {
	text, err := os.ReadFile(filepath.Join(s.dir, currentFile))
	if err != nil {
		return "", fmt.Errorf("reading which key is current: %w", err)
	}
	name := strings.TrimSpace(string(text))
	if !isName(name) {
		return "", fmt.Errorf("file %s: does not name a key", filepath.Join(s.dir, currentFile))
	}
	return name, nil
}

// Rotate makes a new key and makes it the current one. The private halves of the others are removed: what they signed
// stays verifiable, and nothing new can be signed with them.
func (s *Store) Rotate() (*Key, error) {
	if _, _, err := s.Current(); err != nil {
		return nil, err
	}
	key, err := s.add()
	if err != nil {
		return nil, err
	}
	if err := s.use(fileName(key.id)); err != nil {
		return nil, err
	}
	list, err := s.List()
	if err != nil {
		return nil, err
	}
	for _, i := range list {
		if i.Private && i.ID != key.id {
			if err := os.Remove(filepath.Join(s.dir, fileName(i.ID)+privateSuffix)); err != nil {
				return nil, fmt.Errorf("removing the old private key: %w", err)
			}
		}
	}
	return key, nil
}

// use makes name the current key, in one step.
func (s *Store) use(name string) error {
	temp := filepath.Join(s.dir, "."+name)
	err := os.WriteFile(temp, []byte(name+"\n"), 0o600)
	if err == nil {
		err = os.Rename(temp, filepath.Join(s.dir, currentFile))
	}
	if err != nil {
		os.Remove(temp)
		return fmt.Errorf("choosing key %s: %w", name, err)
	}
	return nil
}

// add makes a key and writes both its files, the private one first.
func (s *Store) add() (*Key, error) {
	if err := os.MkdirAll(s.dir, 0o700); err != nil {
		return nil, fmt.Errorf("making the key directory: %w", err)
	}
	key, err := New()
	if err != nil {
		return nil, err
	}
	path := filepath.Join(s.dir, fileName(key.id))
	if err := create(path+privateSuffix, key.Marshal(), 0o600); err != nil {
		return nil, err
	}
	if err := create(path+publicSuffix, MarshalPublic(key.Public()), 0o644); err != nil {
		os.Remove(path + privateSuffix)
		return nil, err
	}
	return key, nil
}

// create writes a new file, or none.
func create(path string, data []byte, mode fs.FileMode) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err == nil {
		_, err = f.Write(data)
		if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
			os.Remove(path)
		}
	}
	if err != nil {
		return fmt.Errorf("writing a key: %w", err)
	}
	return nil
}

// List returns the keys of the store, oldest first. A store that does not exist is empty.
func (s *Store) List() ([]Info, error) {
	files, err := os.ReadDir(s.dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("listing keys: %w", err)
	}
	current, _ := s.current()
	var list []Info
	for _, f := range files {
		name, ok := strings.CutSuffix(f.Name(), publicSuffix)
		if !ok || !isName(name) {
			continue
		}
		path := filepath.Join(s.dir, f.Name())
		text, err := os.ReadFile(path)
		if err != nil {
			return nil, fmt.Errorf("listing keys: %w", err)
		}
		public, err := ParsePublic(text)
		if err != nil {
			return nil, fmt.Errorf("key file %s: %w", path, err)
		}
		i := Info{ID: ID(public), Public: public, Path: path, Current: name == current}
		if st, err := f.Info(); err == nil {
			i.Created = st.ModTime()
		}
		_, err = os.Lstat(filepath.Join(s.dir, name+privateSuffix))
		i.Private = err == nil
		list = append(list, i)
	}
	slices.SortStableFunc(list, func(a, b Info) int { return a.Created.Compare(b.Created) })
	return list, nil
}

// ReadFile reads a private key. The file must be a regular one with mode 0600 or less that belongs to uid.
func ReadFile(path string, uid int) (*Key, error) {
	seed, err := readSeed(path, uid)
	if err != nil {
		return nil, err
	}
	return fromSeed(seed), nil
}

func readSeed(path string, uid int) ([]byte, error) {
	text, err := ReadPrivate(path, uid)
	if err != nil {
		return nil, err
	}
	seed, err := parseSeed(text)
	if err != nil {
		return nil, fmt.Errorf("key file %s: %w", path, err)
	}
	return seed, nil
}

// ReadPrivate reads the text of a private key of any kind, from a file as ReadFile wants it.
func ReadPrivate(path string, uid int) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("reading a key: %w", err)
	}
	defer f.Close()
	i, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("reading a key: %w", err)
	}
	who, known := owner(i)
	switch {
	case !i.Mode().IsRegular():
		return nil, fmt.Errorf("key file %s: not a regular file", path)
	case i.Mode().Perm()&0o077 != 0:
		return nil, fmt.Errorf("key file %s: mode %04o lets others read it; want 0600", path, i.Mode().Perm())
	case known && who != uid:
		return nil, fmt.Errorf("key file %s: belongs to uid %d, not to %d", path, who, uid)
	case i.Size() > 16<<10: // a PKCS #8 file of an Ed25519 key has 119 bytes
		return nil, fmt.Errorf("key file %s: too long for a key", path)
	}
	text := make([]byte, i.Size())
	if _, err := f.ReadAt(text, 0); err != nil {
		return nil, fmt.Errorf("reading a key: %w", err)
	}
	return text, nil
}

func fileName(id string) string { return strings.TrimPrefix(id, "sha256:") }

// isName reports whether name can be the name of a key: 32 hexadecimal digits.
func isName(name string) bool {
	return len(name) == 32 && strings.Trim(name, "0123456789abcdef") == ""
}

// usable reports whether a home directory is there and this user's to read: daemons have /nonexistent, and who changed its user with
// setpriv(1) still has the old one's.
func usable(home string) bool {
	d, err := os.Open(home)
	if err != nil {
		return false
	}
	defer d.Close()
	i, err := d.Stat()
	return err == nil && i.IsDir()
}
