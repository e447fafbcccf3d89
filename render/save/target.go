package save

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

// newMode is the permissions of a new file, of which the umask takes away.
const newMode = 0o644

// tempPrefix begins the names of temporary files.
const tempPrefix = ".sipscope-"

// target is a file on its way to its name. It is written under another name in the same folder, where the system can
// rename it without copying, and gets its own name when it is whole.
type target struct {
	f       *os.File
	temp    string // its name so far; empty for a device or pipe, which is written as it is
	path    string
	replace bool // what stands at path may go
	closed  bool
}

// openTarget looks at what stands at a path and opens what to write to. includes may be nil.
func openTarget(path string, force bool, includes func(fs.FileInfo) bool) (*target, error) {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if link, lerr := os.Lstat(path); lerr == nil && link.Mode()&fs.ModeSymlink != 0 {
			return nil, fmt.Errorf("%w: a symbolic link that leads nowhere", ErrExists)
		}
		return create(path, newMode, force)
	case err != nil:
		return nil, err
	case info.IsDir():
		return nil, errors.New("it is a directory")
	case !info.Mode().IsRegular():
		return openAsIs(path)
	case includes != nil && includes(info):
		return nil, ErrInput
	case !force:
		return nil, ErrExists
	}
	if path, err = filepath.EvalSymlinks(path); err != nil { // the link stays, what it leads to is replaced
		return nil, err
	}
	t, err := openAsIs(path)
	if err != nil {
		return nil, err // a file that may not be written is not replaced either
	}
	_ = t.f.Close()
	return create(path, info.Mode().Perm(), true)
}

// openAsIs opens what is there, and changes nothing yet.
func openAsIs(path string) (*target, error) {
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	return &target{f: f, path: path}, err
}

// create makes the temporary file.
func create(path string, mode fs.FileMode, replace bool) (*target, error) {
	t := &target{path: path, replace: replace}
	var err error
	for range 100 { // names are random: one try does, unless somebody guesses
		name := tempPrefix + strconv.FormatUint(rand.Uint64(), 36) + ".part" //nolint:gosec // no secret
		t.temp = filepath.Join(filepath.Dir(path), name)
		t.f, err = os.OpenFile(t.temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, newMode&mode)
		if !errors.Is(err, fs.ErrExist) {
			break
		}
	}
	if err != nil {
		return nil, inFolder(path, err)
	}
	if mode != newMode {
		_ = t.f.Chmod(mode) // the umask does not apply to what a file had before; some systems have no modes
	}
	return t, nil
}

// inFolder says where a file could not be made.
func inFolder(path string, err error) error {
	if why, ok := errors.AsType[*fs.PathError](err); ok {
		err = why.Err
	}
	return fmt.Errorf("folder %s: %w", filepath.Dir(path), err)
}

// wakeWith makes a write to a pipe that nobody reads return when ctx ends. The function returned ends the watch.
func (t *target) wakeWith(ctx context.Context) (stop func()) {
	if t.temp != "" {
		return func() {}
	}
	off := context.AfterFunc(ctx, func() { _ = t.f.SetWriteDeadline(time.Unix(1, 0)) })
	return func() { _ = off() }
}

// commit gives the file its name. After an error there is no file, or what was there before.
func (t *target) commit() error {
	var err error
	if t.replace {
		err = t.f.Sync() // before the old bytes go, the new ones are on the disk
	}
	t.closed = true
	if err = errors.Join(err, t.f.Close()); err != nil || t.temp == "" {
		return err
	}
	if t.replace {
		err = os.Rename(t.temp, t.path)
	} else {
		err = t.place()
	}
	if err == nil {
		t.temp = ""
		return nil
	}
	if why, ok := errors.AsType[*os.LinkError](err); ok {
		err = why.Err // it names the temporary file
	}
	return err
}

// place names the file without replacing what somebody else may have put there meanwhile. A hard link does that in one
// step; where a file system has none, the name is reserved first and then replaced, which only the reserving program
// may.
func (t *target) place() error {
	err := os.Link(t.temp, t.path)
	switch {
	case err == nil:
		_ = os.Remove(t.temp) // a second name for the file at worst
		return nil
	case errors.Is(err, fs.ErrExist):
		return ErrExists
	}
	return t.reserve()
}

// reserve is place without links.
func (t *target) reserve() error {
	f, err := os.OpenFile(t.path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, newMode)
	if errors.Is(err, fs.ErrExist) {
		return ErrExists
	}
	if err != nil {
		return err
	}
	if err = f.Close(); err == nil {
		err = os.Rename(t.temp, t.path)
	}
	if err != nil {
		_ = os.Remove(t.path) // it is ours, and empty
	}
	return err
}

// abort removes what commit did not name.
func (t *target) abort() {
	if !t.closed {
		t.closed = true
		_ = t.f.Close()
	}
	if t.temp != "" {
		_ = os.Remove(t.temp)
		t.temp = ""
	}
}
