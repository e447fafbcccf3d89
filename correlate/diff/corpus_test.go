package diff_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"sipscope/correlate/diff"
)

// corpus is where captures made by others lie.
const corpus = "../../../shared/pcaps"

// damaged names captures of messages that are wrong on purpose, or by chance: lengths that are not those of the bodies,
// identifiers where nobody looks for them. A disguise of those is another message.
var damaged = []string{
	"gprshome__wireshark/sip.pcap", "OISF__suricata-verify/sip", "rnatella__aflnet", "rfc5118/", "rfc4475/",
	"rfc3665-2.1-", "ntop__nDPI/fuzz-",
}

// Calls of captures made by others, whatever they hold, are the same as themselves, are the same the other way round,
// and can be compared with the next call and hop by hop.
func TestCorpus(t *testing.T) {
	t.Parallel()
	if _, err := os.Stat(corpus); err != nil {
		t.Skip("no captures of others at ../shared/pcaps beside this checkout")
	}
	err := filepath.WalkDir(corpus, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.Contains(filepath.Base(path), ".pcap") && !strings.HasSuffix(path, ".cap") ||
			strings.HasSuffix(path, ".json") {
			return err
		}
		if info, err := d.Info(); err != nil || info.Size() > 8<<20 || testing.Short() && info.Size() > 256<<10 {
			return err
		}
		t.Run(strings.TrimPrefix(path, corpus+"/"), func(t *testing.T) {
			t.Parallel()
			wrong := slices.ContainsFunc(damaged, func(name string) bool { return strings.Contains(path, name) })
			robust(t, readFile(t, path), !wrong)
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func robust(t *testing.T, a archive, disguise bool) {
	t.Helper()
	other := a.disguised(t)
	for i := range a.calls[:min(len(a.calls), 60)] {
		x := a.flow("a", i)
		if r := diff.Flows(x, a.flow("b", i), diff.Rules{Strict: true, Spelling: true}); r.Headline != "same" {
			t.Errorf("call %d and itself: %s", i, list(r))
		}
		if r := diff.Flows(x, other.flow("b", i), diff.Rules{Strict: true}); disguise && r.Headline != "same" {
			t.Errorf("call %d and itself in disguise: %s", i, list(r))
		}
		next := (i + 1) % len(a.calls)
		y := a.flow("b", next)
		mirrored(t, diff.Flows(x, y, diff.Rules{}), diff.Flows(y, x, diff.Rules{}))
		diff.Hops(x.Calls[0], func(m int) []byte { return x.Text(0, m) }, diff.Rules{})
	}
}
