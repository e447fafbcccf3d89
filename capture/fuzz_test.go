package capture_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/gopacket"
	"github.com/google/gopacket/pcapgo"

	"sipscope/capture"
)

// consume reads data to its end and checks what must hold for any bytes.
func consume(t *testing.T, data []byte) {
	t.Helper()
	files, err := capture.NewReader("fuzz", bytes.NewReader(data))
	if err != nil {
		return
	}
	defer func() { _ = files.Close() }()
	var b capture.Batch
	defer b.Release()
	var seq uint64
	total := 0
	for {
		err := files.Next(context.Background(), &b)
		if err != nil {
			if !errors.Is(err, io.EOF) && !errors.Is(err, capture.ErrDamaged) {
				t.Fatalf("error %v is neither the end nor damage", err)
			}
			return
		}
		if len(b.Packets) == 0 {
			t.Fatal("neither packets nor an error")
		}
		for i := range b.Packets {
			p := &b.Packets[i]
			seq++
			total += len(p.Data)
			if p.Seq != seq || p.Loc.Off < 0 || int(p.WireLen) < len(p.Data) && p.Iface == 0 && p.Time != 0 {
				t.Fatalf("packet %+v as number %d", p, seq)
			}
		}
	}
}

func FuzzPcap(f *testing.F) {
	le := binary.LittleEndian
	f.Add(pcapFile(le, 0xa1b2c3d4, record(le, 1, 2, 3, "abc"), record(le, 1, 2, 9, "")))
	f.Add(pcapFile(binary.BigEndian, 0xa1b23c4d, record(binary.BigEndian, 1, 2, 3, "abc")))
	f.Fuzz(func(t *testing.T, data []byte) { consume(t, data) })
}

func FuzzPcapNG(f *testing.F) {
	le := binary.LittleEndian
	f.Add(bytes.Join([][]byte{
		section(le), iface(le, 1, option(le, 9, 0x8a)...), enhanced(le, 0, 1, 1, "x", option(le, 1, 'c')...),
		ngBlock(le, 3, append(le.AppendUint32(nil, 9), "simp"...)),
	}, nil))
	f.Add(section(binary.BigEndian))
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) >= 4 {
			copy(data, []byte{0x0a, 0x0d, 0x0d, 0x0a})
		}
		consume(t, data)
	})
}

func FuzzCompressed(f *testing.F) {
	le := binary.LittleEndian
	data := pcapFile(le, 0xa1b2c3d4, record(le, 1, 2, 3, "abc"))
	f.Add(squeeze(f, data, false))
	f.Add(squeeze(f, data, true))
	f.Fuzz(func(t *testing.T, data []byte) { consume(t, data) })
}

// packetReader is what both of pcapgo's readers are.
type packetReader interface {
	ReadPacketData() (data []byte, ci gopacket.CaptureInfo, err error)
}

// Every capture that an independent reader can read gives the same packets.
func TestOraclePcapgo(t *testing.T) {
	t.Parallel()
	const folder = "../../shared/pcaps"
	if _, err := os.Stat(folder); err != nil {
		t.Skip("no captures of others at ../shared/pcaps beside this checkout")
	}
	paths, err := filepath.Glob(folder + "/*/*cap*")
	if err != nil {
		t.Fatal(err)
	}
	compared := 0
	for _, path := range paths {
		data, err := os.ReadFile(path) //nolint:gosec // a test's own path
		if err != nil {
			continue
		}
		var other packetReader
		if r, err := pcapgo.NewReader(bytes.NewReader(data)); err == nil {
			r.SetSnaplen(1 << 20)
			other = r
		} else if r, err := pcapgo.NewNgReader(bytes.NewReader(data), pcapgo.NgReaderOptions{WantMixedLinkType: true}); err == nil {
			other = r
		} else {
			continue
		}
		got, err := read(t, data)
		if err != nil && !errors.Is(err, capture.ErrDamaged) {
			continue // refused for a reason, such as a header in another byte order than its records
		}
		for i := 0; ; i++ {
			want, ci, err := other.ReadPacketData()
			if err != nil {
				if i != len(got) {
					t.Errorf("%s: %d packets, another reader has %d and %v", path, len(got), i, err)
				}
				break
			}
			if i >= len(got) || got[i].Data != string(want) || got[i].Time != ci.Timestamp.UnixNano() {
				t.Errorf("%s: packet %d differs from another reader's", path, i+1)
				break
			}
		}
		compared++
	}
	if compared < 100 {
		t.Errorf("%d captures compared, at least 100 expected", compared)
	}
}
