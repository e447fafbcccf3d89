package capture

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestPcapOrdersAndUnits(t *testing.T) {
	t.Parallel()
	for name, o := range orders() {
		for kind, magic := range map[string]uint32{"micro": magicMicro, "nano": magicNano, "modified": magicModified} {
			t.Run(name+" "+kind, func(t *testing.T) {
				t.Parallel()
				want := samples(700) // more than two batches
				if magic == magicNano {
					for i := range want {
						want[i].Time += int64(i)
					}
				}
				if diff := cmp.Diff(want, mustRead(t, pcapBytes(o, magic, want))); diff != "" {
					t.Errorf("(-want +got)\n%s", diff)
				}
			})
		}
	}
}

// TestPcapLargeRecords has records longer than a block, among short ones, so that every way to straddle happens.
func TestPcapLargeRecords(t *testing.T) {
	t.Parallel()
	var want []flat
	for i, n := range []int{10, blockSize - 40, 1, blockSize, 3 * blockSize, 0, blockSize + 1, 100, 2 * blockSize, 5} {
		data := bytes.Repeat([]byte{byte('a' + i)}, n)
		want = append(want, flat{Time: testStart, Data: string(data), Wire: uint32(n), Link: LinkEthernet})
	}
	data := pcapBytes(binary.LittleEndian, magicMicro, want)
	for _, r := range []io.Reader{bytes.NewReader(data), &chunky{r: bytes.NewReader(data), n: 4099}} {
		fs, err := NewReader("test", r)
		if err != nil {
			t.Fatal(err)
		}
		got, err := readAll(t, fs)
		fs.Close()
		if !errors.Is(err, io.EOF) || !cmp.Equal(want, got) {
			t.Errorf("%d packets, %v; the %d written expected", len(got), err, len(want))
		}
	}
}

// chunky gives at most n bytes a read, and sometimes none.
type chunky struct {
	r    io.Reader
	n, i int
}

func (c *chunky) Read(p []byte) (int, error) {
	if c.i++; c.i%5 == 0 {
		return 0, nil
	}
	return c.r.Read(p[:min(len(p), c.n)])
}

// TestPcapCut cuts a capture at every byte: the whole packets before the cut come, then the error, unless the cut is
// between two records.
func TestPcapCut(t *testing.T) {
	t.Parallel()
	want := samples(20)
	data := pcapBytes(binary.BigEndian, magicNano, want)
	whole := map[int]int{pcapHeader: 0}
	for i, at := 0, pcapHeader; i < len(want); i++ {
		at += pcapRecord + len(want[i].Data)
		whole[at] = i + 1
	}
	last := 0
	for cut := 1; cut <= len(data); cut++ {
		n, clean := whole[cut]
		if clean {
			last = n
		}
		checkCut(t, cut, data[:cut], want[:last], clean)
	}
}

// checkCut reads a capture that was cut and checks what comes.
func checkCut(t *testing.T, cut int, data []byte, want []flat, clean bool) {
	t.Helper()
	got, err := readBytes(t, data)
	if !cmp.Equal(want, got) && len(want)+len(got) > 0 {
		t.Fatalf("cut at %d: %d packets, %d expected", cut, len(got), len(want))
	}
	if clean {
		if !errors.Is(err, io.EOF) || errors.Is(err, ErrDamaged) {
			t.Fatalf("cut at %d, between records: %v", cut, err)
		}
		return
	}
	var damage *DamagedError
	if !errors.As(err, &damage) || !errors.Is(err, ErrDamaged) || !damage.Cut {
		t.Fatalf("cut at %d: error %v", cut, err)
	}
	if damage.Frame != uint64(len(want)) || damage.Offset > int64(cut) || damage.File != "test" {
		t.Fatalf("cut at %d after %d frames: %v", cut, len(want), err)
	}
	if strings.ContainsAny(err.Error(), "\n\r") {
		t.Fatalf("not one line: %q", err)
	}
}

func TestPcapDamage(t *testing.T) {
	t.Parallel()
	good := samples(3)
	start := int64(len(pcapBytes(binary.LittleEndian, magicMicro, good)))
	record := func(sec, frac, caplen, wire uint32) []byte {
		var b []byte
		for _, v := range []uint32{sec, frac, caplen, wire} {
			b = binary.LittleEndian.AppendUint32(b, v)
		}
		return append(b, make([]byte, 64)...)
	}
	for name, c := range map[string]struct {
		tail []byte
		want string
	}{
		"caplen":   {record(1, 0, maxRecord+1, 60), "at most 268435456 can be"},
		"fraction": {record(1, 2e9, 64, 64), "parts of a second"},
		"zeros":    {make([]byte, 100), "found zeros"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := readBytes(t, append(pcapBytes(binary.LittleEndian, magicMicro, good), c.tail...))
			var damage *DamagedError
			if !errors.As(err, &damage) || damage.Offset != start || damage.Frame != 3 || damage.Cut {
				t.Fatalf("error %v", err)
			}
			if !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %q, %q expected in it", err, c.want)
			}
			if diff := cmp.Diff(good, got); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
			fuzzRead(t, append(pcapBytes(binary.LittleEndian, magicMicro, good), c.tail...)) // in pieces: as at once
		})
	}
}

// TestPcapTolerated has what other programs write although the format does not say so.
func TestPcapTolerated(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 70_000)
	in := []flat{
		{Time: testStart, Data: long, Wire: 70_000, Link: LinkEthernet}, // more than the snaplen in the header
		{Time: testStart, Data: "four", Wire: 2, Link: LinkEthernet},    // captured more than the wire had
	}
	got := mustRead(t, pcapBytes(binary.LittleEndian, magicMicro, in))
	in[1].Wire = 4
	if diff := cmp.Diff(in, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// TestPcapMixedOrder is a file whose header and records disagree about the byte order: no packet is made up from it.
func TestPcapMixedOrder(t *testing.T) {
	t.Parallel()
	ps := []flat{{Time: testStart, Data: strings.Repeat("x", 549), Wire: 549}}
	data := pcapBytes(binary.LittleEndian, magicMicro, ps)
	copy(data, pcapBytes(binary.BigEndian, magicMicro, nil))
	got, err := readBytes(t, data)
	if len(got) != 0 || !errors.Is(err, ErrDamaged) {
		t.Errorf("%d packets, error %v", len(got), err)
	}
}

func TestPcapVersion(t *testing.T) {
	t.Parallel()
	data := pcapBytes(binary.LittleEndian, magicMicro, samples(2))
	data[4] = 9
	if got, err := readBytes(t, data); len(got) != 0 || !errors.Is(err, ErrDamaged) {
		t.Errorf("%d packets, error %v", len(got), err)
	}
}

// TestLyingLength claims records of 256 MiB in files of a few bytes and of some MiB: memory follows the bytes.
func TestLyingLength(t *testing.T) { //nolint:paralleltest // measures what is allocated
	for name, lie := range map[string]func([]byte) []byte{
		"pcap": func(tail []byte) []byte {
			b := pcapBytes(binary.LittleEndian, magicMicro, samples(1))
			for _, v := range []uint32{1, 1, maxRecord, maxRecord} {
				b = binary.LittleEndian.AppendUint32(b, v)
			}
			return append(b, tail...)
		},
		"pcapng": func(tail []byte) []byte {
			b := newNG(binary.LittleEndian).iface(LinkEthernet, 0).packet(0, 1, "one").b
			b = binary.LittleEndian.AppendUint32(b, blockEPB)
			b = binary.LittleEndian.AppendUint32(b, maxRecord)
			return append(b, tail...)
		},
	} {
		for _, n := range []int{8, 3 << 20} {
			data := lie(bytes.Repeat([]byte{7}, n))
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			got, err := readBytes(t, data)
			runtime.ReadMemStats(&after)
			if len(got) != 1 || !errors.Is(err, ErrDamaged) {
				t.Fatalf("%s: %d packets, %v", name, len(got), err)
			}
			// Blocks double up to the bytes there are: their sum is at most four times that, beside the first blocks.
			limit := uint64(4*len(data) + 4*blockSize)
			if used := after.TotalAlloc - before.TotalAlloc; used > limit {
				t.Errorf("%s: %d bytes allocated for a file of %d, at most %d expected", name, used, len(data), limit)
			}
		}
	}
}
