package capture

import (
	"bufio"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/gopacket"
	"github.com/google/gopacket/pcapgo"
	"github.com/klauspost/compress/gzip"
)

// corpus is where captures made by others are, seen from this package.
const corpus = "../../shared/pcaps"

// captures gives the captures of the corpus.
func captures(t *testing.T) []string {
	t.Helper()
	var out []string
	err := filepath.WalkDir(corpus, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		switch filepath.Ext(path) {
		case ".json", ".dat", ".keys", ".md", ".txt":
		default:
			out = append(out, path)
		}
		return nil
	})
	if errors.Is(err, fs.ErrNotExist) || err == nil && len(out) == 0 {
		t.Skip("no captures of others in " + corpus)
	}
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TestOracle compares every capture of the corpus with gopacket's readers: as many packets, with the same times, link
// types, lengths and bytes, as far as gopacket reads.
func TestOracle(t *testing.T) {
	t.Parallel()
	compared := 0
	for _, path := range captures(t) {
		ours, err := Open([]string{path}, Options{})
		if err != nil {
			if _, theirs := openPcapgo(t, path); theirs == nil {
				t.Errorf("%s: %v, but pcapgo reads it", path, err)
			}
			continue
		}
		got, end := readAll(t, ours)
		ours.Close()
		if !errors.Is(end, io.EOF) && !errors.Is(end, ErrDamaged) {
			t.Errorf("%s: %v", path, end)
		}
		n, theirEnd := comparePcapgo(t, path, got)
		switch {
		case errors.Is(theirEnd, io.EOF) && errors.Is(end, io.EOF) && n != len(got):
			t.Errorf("%s: %d packets, pcapgo reads %d", path, len(got), n)
		case errors.Is(theirEnd, io.EOF) && !errors.Is(end, io.EOF):
			// pcapgo takes a cut within a record header for the end.
			t.Logf("%s: %v; pcapgo sees no damage after %d packets", path, end, n)
		case !errors.Is(theirEnd, io.EOF) && len(got) < n:
			t.Errorf("%s: %d packets, pcapgo reads %d before %v", path, len(got), n, theirEnd)
		case !errors.Is(theirEnd, io.EOF):
			t.Logf("%s: %d packets, %v; pcapgo %d, %v", path, len(got), end, n, theirEnd)
		}
		compared += n
	}
	if compared < 1000 {
		t.Errorf("%d packets were compared", compared)
	}
}

// pcapgoReader is what both of its readers have.
type pcapgoReader interface {
	gopacket.PacketDataSource
}

func openPcapgo(t *testing.T, path string) (pcapgoReader, error) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	var r io.Reader = bufio.NewReader(f)
	if strings.HasSuffix(path, ".gz") {
		if r, err = gzip.NewReader(r); err != nil {
			return nil, err
		}
	}
	in := bufio.NewReader(r)
	if magic, _ := in.Peek(4); string(magic) == "\n\r\r\n" {
		opts := pcapgo.DefaultNgReaderOptions
		opts.WantMixedLinkType = true
		opts.SkipUnknownVersion = true
		return pcapgo.NewNgReader(in, opts)
	}
	p, err := pcapgo.NewReader(in)
	if err == nil {
		p.SetSnaplen(1 << 20) // whatever the header says
	}
	return p, err
}

// comparePcapgo gives how many packets pcapgo read and what ended it.
func comparePcapgo(t *testing.T, path string, got []flat) (int, error) {
	t.Helper()
	r, err := openPcapgo(t, path)
	if err != nil {
		return 0, err
	}
	for n := 0; ; n++ {
		data, ci, err := r.ReadPacketData()
		if err != nil {
			return n, err
		}
		if n >= len(got) {
			continue
		}
		g := &got[n]
		if g.Data != string(data) || int(g.Wire) != max(ci.Length, len(data)) {
			t.Errorf("%s: packet %d differs", path, n+1)
			return n, io.EOF
		}
		if g.Time != ci.Timestamp.UnixNano() {
			t.Errorf("%s: packet %d at %d, pcapgo says %d", path, n+1, g.Time, ci.Timestamp.UnixNano())
			return n, io.EOF
		}
	}
}

// TestCorpusReadAt reads every packet of the corpus again at its place.
func TestCorpusReadAt(t *testing.T) {
	t.Parallel()
	for _, path := range captures(t) {
		files, err := Open([]string{path}, Options{Spool: true, SpoolDir: t.TempDir()})
		if err != nil {
			continue // TestOracle has its say
		}
		var b Batch
		for files.Next(t.Context(), &b) == nil {
			for i := range b.Packets {
				p := &b.Packets[i]
				again := make([]byte, len(p.Data))
				if err := files.ReadAt(p.Loc, again); err != nil || string(again) != string(p.Data) {
					t.Errorf("%s: frame %d cannot be read again: %v", path, p.Seq, err)
				}
			}
		}
		files.Close()
	}
}
