package capture

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

func gz(tb testing.TB, data []byte) []byte {
	tb.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write(data); err != nil {
		tb.Fatal(err)
	}
	if err := w.Close(); err != nil {
		tb.Fatal(err)
	}
	return b.Bytes()
}

func zst(tb testing.TB, data []byte) []byte {
	tb.Helper()
	w, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1))
	if err != nil {
		tb.Fatal(err)
	}
	defer w.Close()
	return w.EncodeAll(data, nil)
}

// file writes a file to a directory of the test's own.
func file(tb testing.TB, name string, data []byte) string {
	tb.Helper()
	path := filepath.Join(tb.TempDir(), name)
	if err := os.WriteFile(path, data, 0o600); err != nil {
		tb.Fatal(err)
	}
	return path
}

// checkReadAt reads every packet again and compares.
func checkReadAt(t *testing.T, fs *Files, locs []Loc, want []flat) {
	t.Helper()
	for i, loc := range locs {
		p := make([]byte, len(want[i].Data))
		if err := fs.ReadAt(loc, p); err != nil || string(p) != want[i].Data {
			t.Fatalf("frame %d at %+v: %q, %v; %q expected", i+1, loc, p, err, want[i].Data)
		}
	}
}

func readLocs(t *testing.T, fs *Files) []Loc {
	t.Helper()
	var locs []Loc
	var b Batch
	for {
		err := fs.Next(context.Background(), &b)
		if errors.Is(err, io.EOF) {
			return locs
		}
		if err != nil {
			t.Fatal(err)
		}
		for i := range b.Packets {
			locs = append(locs, b.Packets[i].Loc)
		}
	}
}

// TestOpenCompressed reads one capture in every wrapping, twice, and its packets at random.
func TestOpenCompressed(t *testing.T) {
	t.Parallel()
	want := samples(5000)
	plain := pcapBytes(binary.LittleEndian, magicMicro, want)
	half := len(plain) / 2
	for name, data := range map[string][]byte{
		"plain":            plain,
		"gzip":             gz(t, plain),
		"zstd":             zst(t, plain),
		"gzip members":     append(gz(t, plain[:half]), gz(t, plain[half:])...),
		"zstd frames":      append(zst(t, plain[:half]), zst(t, plain[half:])...),
		"zstd skippable":   append([]byte("\x51\x2a\x4d\x18\x04\x00\x00\x00skip"), zst(t, plain)...),
		"gzip within zstd": zst(t, gz(t, plain)),
		"zstd within gzip": gz(t, zst(t, plain)),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := file(t, "capture", data)
			fs, err := Open([]string{path}, Options{Spool: true, SpoolDir: t.TempDir()})
			if err != nil {
				t.Fatal(err)
			}
			defer fs.Close()
			locs := readLocs(t, fs)
			if len(locs) != len(want) {
				t.Fatalf("%d packets, %d expected", len(locs), len(want))
			}
			checkReadAt(t, fs, locs, want)
			if fs.Size() != int64(len(data)) || fs.Offset() != int64(len(data)) {
				t.Errorf("size %d, offset %d, %d expected", fs.Size(), fs.Offset(), len(data))
			}
			again, err := fs.Reopen()
			if err != nil {
				t.Fatal(err)
			}
			defer again.Close()
			fs.Close() // what was reopened stands alone
			got, err := readAll(t, again)
			if diff := cmp.Diff(want, got); diff != "" || !errors.Is(err, io.EOF) {
				t.Errorf("%v (-want +got)\n%s", err, diff)
			}
			checkReadAt(t, again, locs, want)
			if again.Name(0) != path || again.Name(1) != "" {
				t.Errorf("names %q, %q", again.Name(0), again.Name(1))
			}
		})
	}
}

// TestOpenNotSpooled: a compressed file can be read again as a whole, but not at random.
func TestOpenNotSpooled(t *testing.T) {
	t.Parallel()
	want := samples(10)
	path := file(t, "capture", gz(t, pcapBytes(binary.LittleEndian, magicMicro, want)))
	fs, err := Open([]string{path}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer fs.Close()
	if err = fs.ReadAt(Loc{Off: 40}, make([]byte, 1)); !errors.Is(err, ErrNotKept) {
		t.Errorf("ReadAt: %v", err)
	}
	again, err := fs.Reopen()
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	if got, err := readAll(t, again); len(got) != 10 || !errors.Is(err, io.EOF) {
		t.Error(len(got), err)
	}
}

func TestReadAtErrors(t *testing.T) {
	t.Parallel()
	path := file(t, "capture", pcapBytes(binary.LittleEndian, magicMicro, samples(3)))
	fs, err := Open([]string{path}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, loc := range []Loc{{Off: 1 << 40}, {Off: -1}, {Off: 1<<63 - 1}, {File: 1}} {
		if err := fs.ReadAt(loc, make([]byte, 8)); err == nil {
			t.Errorf("%+v was read", loc)
		} else if loc.File == 0 && (!errors.Is(err, io.ErrUnexpectedEOF) || !strings.HasPrefix(err.Error(), path)) {
			t.Errorf("%+v: %v", loc, err)
		}
	}
	if err := fs.Close(); err != nil {
		t.Error(err)
	}
	if err := fs.Close(); err != nil {
		t.Error("second Close:", err)
	}
	var b Batch
	if err := fs.Next(context.Background(), &b); !errors.Is(err, errClosed) {
		t.Errorf("Next after Close: %v", err)
	}
	if _, err := fs.Reopen(); !errors.Is(err, errClosed) {
		t.Errorf("Reopen after Close: %v", err)
	}
}

// TestCompressedCut cuts compressed captures at every byte: a beginning of the packets comes, then damage.
func TestCompressedCut(t *testing.T) {
	t.Parallel()
	want := samples(30)
	plain := pcapBytes(binary.LittleEndian, magicMicro, want)
	for name, data := range map[string][]byte{
		"gzip":   gz(t, plain),
		"zstd":   append(zst(t, plain[:300]), zst(t, plain[300:])...),
		"nested": gz(t, append(zst(t, plain[:300]), zst(t, plain[300:])...)),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			most := 0
			for cut := 1; cut < len(data); cut++ {
				got, err := readBytes(t, data[:cut])
				if !errors.Is(err, ErrDamaged) {
					t.Fatalf("cut at %d of %d: %d packets, %v", cut, len(data), len(got), err)
				}
				if len(got) > len(want) || len(got) < most || len(got) > 0 && !cmp.Equal(want[:len(got)], got) {
					t.Fatalf("cut at %d: %d packets, %d before", cut, len(got), most)
				}
				most = len(got)
			}
			if most == 0 {
				t.Error("no cut gave a packet")
			}
			if got := mustRead(t, data); len(got) != len(want) {
				t.Errorf("whole: %d packets", len(got))
			}
		})
	}
}

// TestCompressedDamage flips a byte of the checksum at the end: all packets come, then damage that says so.
func TestCompressedDamage(t *testing.T) {
	t.Parallel()
	want := samples(50)
	data := gz(t, pcapBytes(binary.LittleEndian, magicMicro, want))
	data[len(data)-6] ^= 0xff
	got, err := readBytes(t, data)
	if len(got) != len(want) || !errors.Is(err, ErrDamaged) || !errors.Is(err, gzip.ErrChecksum) {
		t.Errorf("%d packets, %v", len(got), err)
	}
}

func TestOpenErrors(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, c := range map[string]struct {
		path string
		is   error
		want string
	}{
		"directory": {dir, ErrFormat, "it is a directory"},
		"missing":   {filepath.Join(dir, "nope.pcap"), os.ErrNotExist, "nope.pcap: no such file"},
		"empty":     {file(t, "empty.pcap", nil), ErrFormat, "it is empty"},
		"text": {
			file(t, "notes.txt", []byte("Hell\x1b[2J")), ErrFormat,
			`notes.txt: not a capture file (pcap or pcapng expected, found "Hell")`,
		},
		"control":    {file(t, "x", []byte("\x1b]0;x")), ErrFormat, `found "\x1b]0;"`},
		"short text": {file(t, "x", []byte("Hi")), ErrFormat, `found "Hi"`},
		"xz":         {file(t, "x", []byte("\xfd7zXZ\x00")), ErrFormat, "xz data: decompress"},
		"gzip text":  {file(t, "x", gz(t, []byte("text"))), ErrFormat, `found "text"`},
		"gzip empty": {file(t, "x", gz(t, nil)), ErrFormat, "it is empty"},
		"three times": {
			file(t, "x", gz(t, gz(t, gz(t, pcapBytes(binary.LittleEndian, magicMicro, nil))))), ErrFormat,
			"compressed more than 2 times",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			fs, err := Open([]string{c.path}, Options{Spool: true})
			if err == nil {
				fs.Close()
				t.Fatal("opened")
			}
			if !errors.Is(err, c.is) || !strings.Contains(err.Error(), c.want) || !strings.HasPrefix(err.Error(), c.path) {
				t.Errorf("error %q, %q expected", err, c.want)
			}
			if strings.ContainsAny(err.Error(), "\n\x1b") {
				t.Errorf("not one clean line: %q", err)
			}
		})
	}
	if _, err := Open(nil, Options{}); err == nil {
		t.Error("no captures were opened")
	}
}

// TestOpenHeaderDamaged: what is left of a file's header is damage, not a reason to refuse the other files.
func TestOpenHeaderDamaged(t *testing.T) {
	t.Parallel()
	good := pcapBytes(binary.LittleEndian, magicMicro, samples(5))
	fs, err := Open([]string{file(t, "cut.pcap", good[:10]), file(t, "good.pcap", good)}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer fs.Close()
	got, err := readAll(t, fs)
	if len(got) != 5 || !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), "cut.pcap: cut short") {
		t.Errorf("%d packets, %v", len(got), err)
	}
}

// TestSpoolFull: a copy that fails costs no packet, and is told to who wants to read again.
func TestSpoolFull(t *testing.T) {
	t.Parallel()
	want := samples(10)
	path := file(t, "capture", gz(t, pcapBytes(binary.LittleEndian, magicMicro, want)))
	_, err := Open([]string{path}, Options{Spool: true, SpoolDir: filepath.Join(t.TempDir(), "nope")})
	if err == nil || !strings.HasPrefix(err.Error(), path) {
		t.Errorf("no directory for the copy: %v", err)
	}

	spool, err := newSpool(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	spool.f.Close() // every write fails from now on
	got, err := io.ReadAll(&tee{r: strings.NewReader("bytes"), spool: spool})
	if string(got) != "bytes" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	if err := spool.readAt(make([]byte, 3), 0); !errors.Is(err, ErrNotKept) {
		t.Errorf("readAt: %v", err)
	}
}

// TestReopenKeepsTheFile: a second pass reads what the first one read, although the name leads elsewhere by now, and
// a compressed file that was not read to its end starts over.
func TestReopenKeepsTheFile(t *testing.T) {
	t.Parallel()
	want := samples(9000)
	plain := pcapBytes(binary.LittleEndian, magicMicro, want)
	for name, data := range map[string][]byte{"plain": plain, "gzip": gz(t, plain)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := file(t, "capture", data)
			fs, err := Open([]string{path}, Options{Spool: true, SpoolDir: t.TempDir()})
			if err != nil {
				t.Fatal(err)
			}
			defer fs.Close()
			var b Batch
			if err = fs.Next(t.Context(), &b); err != nil {
				t.Fatal(err)
			}
			if err = os.Rename(file(t, "other", plain[:pcapHeader]), path); err != nil {
				t.Fatal(err)
			}
			again, err := fs.Reopen()
			if err != nil {
				t.Fatal(err)
			}
			defer again.Close()
			if got, err := readAll(t, again); !cmp.Equal(want, got) || !errors.Is(err, io.EOF) {
				t.Errorf("%d packets, %v", len(got), err)
			}
		})
	}
}
