package capture

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// fuzzRead reads data, which must end, and reads it again in pieces of odd sizes: the same must come. readAll checks
// what holds for every Source.
func fuzzRead(t *testing.T, data []byte) {
	t.Helper()
	got, err := readBytes(t, data)
	if err == nil {
		t.Fatal("no end")
	}
	total := 0
	for i := range got {
		total += len(got[i].Data)
	}
	if !errors.Is(err, io.EOF) && !errors.Is(err, ErrDamaged) && !errors.Is(err, ErrFormat) {
		t.Fatalf("error %v", err)
	}
	if sniff(data[:min(len(data), magicSize)]) <= formatPcapNG && total > len(data) {
		t.Fatalf("%d bytes of packets out of %d", total, len(data))
	}
	fs, err2 := NewReader("test", &chunky{r: bytes.NewReader(data), n: 7})
	if err2 != nil {
		if err2.Error() != err.Error() {
			t.Fatalf("in pieces: %v, at once: %v", err2, err)
		}
		return
	}
	defer fs.Close()
	again, err2 := readAll(t, fs)
	if err.Error() != err2.Error() || !cmp.Equal(got, again) {
		t.Fatalf("in pieces: %d packets, %v; at once: %d, %v", len(again), err2, len(got), err)
	}
}

func FuzzPcap(f *testing.F) {
	for _, o := range orders() {
		for _, magic := range []uint32{magicMicro, magicNano, magicModified} {
			f.Add(pcapBytes(o, magic, samples(5)))
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) >= magicSize {
			if is := sniff(data[:magicSize]); is != formatPcap {
				copy(data, "\xd4\xc3\xb2\xa1")
			}
		}
		fuzzRead(t, data)
	})
}

func FuzzPcapNG(f *testing.F) {
	for _, o := range orders() {
		f.Add(newNG(o).iface(1, 9, "\x09", "\x89", "\x0e", "12345678", "\x02", "eth0").packet(0, 1<<40, "abc", "c", "d").
			obsolete(0, 1, 5, "xyz").simple(9, "123456789").block(blockDSB, []byte("KSLT\x04\x00\x00\x00keys")).
			block(4, make([]byte, 4)).b)
	}
	f.Add(append(newNG(binary.LittleEndian).iface(1, 0).b, newNG(binary.BigEndian).iface(1, 0).packet(0, 1, "x").b...))
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) >= magicSize {
			copy(data, "\n\r\r\n")
		}
		fuzzRead(t, data)
	})
}

func FuzzOpen(f *testing.F) {
	plain := pcapBytes(binary.LittleEndian, magicMicro, samples(5))
	f.Add(plain)
	f.Add(gz(f, plain))
	f.Add(zst(f, plain))
	f.Add(gz(f, zst(f, plain)))
	f.Add(newNG(binary.LittleEndian).iface(1, 0).packet(0, 1, "x").b)
	f.Add([]byte("BZh91AY&SY"))
	f.Fuzz(fuzzRead)
}
