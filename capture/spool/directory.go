package spool

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Names of what is in a spool's directory, and of temporary ones.
const (
	filePrefix = "spool-"
	fileSuffix = ".pcapng"
	lockName   = "spool.lock"
	tempPrefix = "sipscope-spool-"
	newPrefix  = "sipscope-new-" // not locked yet
)

// errInUse says that another process has a spool's directory.
var errInUse = errors.New("another sipscope keeps its spool here")

// directory is where segments are. Its lock says that the process lives: the system lets go of it with the process.
type directory struct {
	path      string
	temporary bool
	lock      *os.File
	number    uint64 // of the last segment; the writer's
}

// openDirectory locks a named directory, or makes a temporary one below root.
func openDirectory(path, root string) (*directory, error) {
	if path == "" {
		if root == "" {
			root = temporaryRoot()
		}
		removeStale(root)
		d, err := makeTemporary(root)
		if err != nil {
			return nil, fmt.Errorf("spool: %w", err)
		}
		return d, nil
	}
	if err := os.MkdirAll(path, 0o700); err != nil {
		return nil, fmt.Errorf("spool: %w", err)
	}
	lock, err := lockFile(filepath.Join(path, lockName), true)
	if err != nil {
		return nil, fmt.Errorf("spool %s: %w", path, err)
	}
	return &directory{path: path, lock: lock}, nil
}

// temporaryRoot is where large temporary files belong: the system's place for them is often memory.
func temporaryRoot() string {
	const large = "/var/tmp"
	if st, err := os.Stat(large); os.Getenv("TMPDIR") == "" && err == nil && st.IsDir() {
		return large
	}
	return os.TempDir()
}

// makeTemporary makes a locked directory. It gets its final name when it is locked, so that nobody takes it for one that
// a killed process has left.
func makeTemporary(root string) (*directory, error) {
	fresh, err := os.MkdirTemp(root, newPrefix+"*")
	if err != nil {
		return nil, err
	}
	d := &directory{path: filepath.Join(root, tempPrefix+strings.TrimPrefix(filepath.Base(fresh), newPrefix)), temporary: true}
	if d.lock, err = lockFile(filepath.Join(fresh, lockName), true); err != nil {
		return nil, errors.Join(err, os.Remove(filepath.Join(fresh, lockName)), os.Remove(fresh))
	}
	if err := os.Rename(fresh, d.path); err != nil {
		return nil, errors.Join(err, d.lock.Close(), os.Remove(filepath.Join(fresh, lockName)), os.Remove(fresh))
	}
	return d, nil
}

// removeStale removes temporary directories whose process is gone. It is best effort: what cannot be removed stays.
func removeStale(root string) {
	left, err := filepath.Glob(filepath.Join(root, tempPrefix+"*"))
	if err != nil {
		return // root is no pattern
	}
	for _, path := range left {
		if st, err := os.Lstat(path); err != nil || !st.IsDir() || !isOurs(st) {
			continue
		}
		lock, err := lockFile(filepath.Join(path, lockName), false)
		if err != nil {
			continue // in use, or none of ours
		}
		_ = removeTemporary(path)
		_ = lock.Close()
	}
}

// removeTemporary removes what a spool made, and nothing else.
func removeTemporary(path string) error {
	files, err := list(path)
	for _, f := range files {
		err = errors.Join(err, os.Remove(f.path))
	}
	return errors.Join(err, os.Remove(filepath.Join(path, lockName)), os.Remove(path))
}

// list gives the segments in a directory, in the order of their numbers.
func list(path string) ([]file, error) {
	entries, err := os.ReadDir(path)
	if err != nil {
		return nil, err
	}
	var out []file
	for _, e := range entries {
		digits, ok := strings.CutPrefix(e.Name(), filePrefix)
		if digits, ok = cutSuffix(digits, ok); !ok || !e.Type().IsRegular() {
			continue
		}
		number, err := strconv.ParseUint(digits, 10, 63)
		if err != nil {
			continue
		}
		info, err := e.Info()
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		out = append(out, file{path: filepath.Join(path, e.Name()), size: info.Size(), number: number})
	}
	slices.SortFunc(out, func(a, b file) int { return cmp.Compare(a.number, b.number) })
	return out, nil
}

func cutSuffix(s string, ok bool) (string, bool) {
	s, suffix := strings.CutSuffix(s, fileSuffix)
	return s, ok && suffix
}

// earlier gives the segments of earlier runs; those of this one go on counting.
func (d *directory) earlier() ([]file, error) {
	files, err := list(d.path)
	if err != nil {
		return nil, fmt.Errorf("spool: %w", err)
	}
	if len(files) > 0 {
		d.number = files[len(files)-1].number
	}
	return files, nil
}

// close lets go of the directory, and removes a temporary one.
func (d *directory) close() error {
	var err error
	if d.temporary {
		err = removeTemporary(d.path)
	}
	return errors.Join(err, d.lock.Close())
}
