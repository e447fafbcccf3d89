package save

import (
	"cmp"
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"go.uber.org/goleak"

	"sipscope/capture"
	"sipscope/correlate"
	"sipscope/decode"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// archive is captures that were read.
type archive struct {
	files *capture.Files
	board *correlate.Board
	vault *decode.Vault
}

// project is the path of one of the project's captures.
func project(name string) string { return filepath.Join("..", "..", "testdata", "pcaps", name) }

func read(tb testing.TB, paths ...string) *archive {
	tb.Helper()
	files, err := capture.Open(paths, capture.Options{Spool: true, SpoolDir: tb.TempDir()})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { files.Close() })
	a := &archive{files: files, board: &correlate.Board{}, vault: decode.NewVault(decode.VaultOptions{Dir: tb.TempDir()})}
	tb.Cleanup(func() { a.vault.Close() })
	err = correlate.Run(context.Background(), files, correlate.Config{Workers: 1, Board: a.board, Vault: a.vault})
	if err != nil && !errors.Is(err, capture.ErrDamaged) {
		tb.Fatal(err)
	}
	return a
}

func (a *archive) text(c *correlate.Call, message int) ([]byte, error) {
	return decode.ReadText(a.vault.Reader(a.files), c.Messages[message].Pieces)
}

func (a *archive) nums() []uint32 {
	var nums []uint32
	for s := range a.board.Calls() {
		nums = append(nums, s.Num)
	}
	return nums
}

// job saves all calls.
func (a *archive) job(path string, f Format) Job {
	nums := a.nums()
	return Job{
		Path: path, Format: f, Source: FromFiles(a.files),
		Calls: Numbered(a.board, slices.Values(nums)), Total: len(nums),
	}
}

// same is what a saved call has in common with its original.
type same struct {
	CallID, Method string
	State          correlate.State
	Code           uint16
	First, Last    int64
	PDD, Setup     int64
	Messages       []sameMessage
}

type sameMessage struct {
	Time     int64
	Src, Dst string
	Method   string
	Status   uint16
	Repeats  int
	Text     string
}

func (a *archive) calls(tb testing.TB) []same {
	tb.Helper()
	var all []same
	for c := range Numbered(a.board, slices.Values(a.nums())) {
		s := same{c.CallID, c.Method, c.State, c.Code, c.First, c.Last, c.PDD, c.Setup, nil}
		for i := range c.Messages {
			m := &c.Messages[i]
			raw, err := a.text(c, i)
			if err != nil {
				tb.Fatal(err)
			}
			s.Messages = append(s.Messages, sameMessage{
				m.Time, m.Src.String(), m.Dst.String(), m.Method, m.Status, m.Repeats, string(raw),
			})
		}
		// A saved capture has no acknowledgements: a hole in a stream shows later there, and so does what comes after it.
		slices.SortStableFunc(s.Messages, func(a, b sameMessage) int { return cmp.Compare(a.Time, b.Time) })
		all = append(all, s)
	}
	return all
}

// names lists a folder.
func names(tb testing.TB, dir string) []string {
	tb.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		tb.Fatal(err)
	}
	all := []string{}
	for _, e := range entries {
		all = append(all, e.Name())
	}
	return all
}

func write(tb testing.TB, path, data string) {
	tb.Helper()
	if err := os.WriteFile(path, []byte(data), 0o600); err != nil {
		tb.Fatal(err)
	}
}

func content(tb testing.TB, path string) string {
	tb.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		tb.Fatal(err)
	}
	return string(data)
}
