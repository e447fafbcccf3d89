//go:build !linux

package live

import "fmt"

// DropPrivileges gives ErrUnsupported: other systems keep privileges in other ways.
func DropPrivileges(name string) error {
	return fmt.Errorf("becoming user %s: %w", name, ErrUnsupported)
}
