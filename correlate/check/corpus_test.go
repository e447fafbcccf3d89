package check

import (
	"io/fs"
	"path/filepath"
	"strings"
	"testing"
)

// TestCorpus runs over every capture of others. Findings there were looked at one by one; the test prints them with -v, and
// holds that nothing panics and that every finding names frames.
func TestCorpus(t *testing.T) {
	t.Parallel()
	var paths []string
	for _, root := range []string{"../../../shared/pcaps", "../../testdata/pcaps"} {
		_ = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if err == nil && !d.IsDir() && (strings.HasSuffix(path, ".pcap") || strings.HasSuffix(path, ".pcapng") || strings.HasSuffix(path, ".cap")) {
				paths = append(paths, path)
			}
			return nil
		})
	}
	for _, path := range paths {
		a := read(t, path)
		if len(a.streams) == 0 {
			continue
		}
		if text := a.findings(); text != "" {
			t.Logf("%s (%d streams)\n%s", path, len(a.streams), text)
		}
		for i := range a.calls {
			if keys := a.keys(&a.calls[i]); keys != "" {
				t.Logf("%s call %d keys %s", path, a.calls[i].Num, keys)
			}
		}
	}
}
