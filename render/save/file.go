package save

import (
	"fmt"
	"io"
)

// WriteFile writes one file: whole, or not at all. ErrExists says that there is one by that name, unless force is set. Errors
// begin with the path.
func WriteFile(path string, force bool, write func(w io.Writer) error) error {
	t, err := openTarget(path, force, nil)
	if err != nil {
		return fmt.Errorf("%s: %w", path, withoutPath(err, path))
	}
	defer t.abort()
	if err = write(t.f); err == nil {
		err = t.commit()
	}
	if err != nil {
		return fmt.Errorf("%s: %w", path, withoutPath(err, path))
	}
	return nil
}
