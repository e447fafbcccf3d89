//go:build unix && !solaris && !aix

package registrar

import (
	"errors"
	"io"
	"os"
	"syscall"
)

// lockFile keeps other programs from the file of a Store until it is closed or the program ends, however that happens.
// The lock file itself stays.
func lockFile(path string) (io.Closer, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, ErrLocked
		}
		return nil, err
	}
	return f, nil
}
