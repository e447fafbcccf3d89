//go:build !unix || solaris || aix

package registrar

import "io"

type noLock struct{}

func (noLock) Close() error { return nil }

// lockFile does nothing where files cannot be locked.
func lockFile(string) (io.Closer, error) { return noLock{}, nil }
