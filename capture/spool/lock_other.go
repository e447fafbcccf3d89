//go:build !unix

package spool

import (
	"io/fs"
	"os"
)

// lockFile opens a file. There is no lock here, so nobody can tell whether the process that made it lives: what was not
// made by this one is left alone.
func lockFile(path string, create bool) (*os.File, error) {
	if !create {
		return nil, errInUse
	}
	return os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
}

// isOurs tells whether a directory belongs to this user.
func isOurs(fs.FileInfo) bool { return false }
