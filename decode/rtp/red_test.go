package rtp

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"
	"testing"
)

// red makes a payload with redundant data: blocks with their offsets, the last one primary.
func red(blocks ...RedBlock) []byte {
	var head, data []byte
	for i, b := range blocks {
		data = append(data, b.Payload...)
		if i == len(blocks)-1 {
			head = append(head, b.PT)
			break
		}
		head = binary.BigEndian.AppendUint32(head, 1<<31|uint32(b.PT)<<24|b.Timestamp<<10|uint32(len(b.Payload)))
	}
	return append(head, data...)
}

func blocksOf(list []RedBlock) string {
	var out []string
	for _, b := range list {
		out = append(out, fmt.Sprintf("%d@%d:%s%s", b.PT, b.Timestamp, b.Payload, map[bool]string{true: "!"}[b.Primary]))
	}
	return strings.Join(out, " ")
}

func TestAppendRedBlocks(t *testing.T) {
	t.Parallel()
	two := red(RedBlock{PT: 5, Timestamp: 160, Payload: []byte("old")}, RedBlock{PT: 0, Payload: []byte("new")})
	for _, test := range []struct {
		name    string
		payload []byte
		cut     bool
		want    string
		ok      bool
	}{
		{"primary alone", red(RedBlock{PT: 111, Payload: []byte("new")}), false, "111@1000:new!", true},
		{"primary alone and empty", []byte{98}, false, "98@1000:!", true},
		{"one generation", two, false, "5@840:old 0@1000:new!", true},
		{
			"offset before the first timestamp, an empty block",
			red(RedBlock{PT: 98, Timestamp: 16383, Payload: []byte("a")}, RedBlock{PT: 98, Timestamp: 20}, RedBlock{PT: 98, Payload: []byte("b")}), false,
			"98@4294951913:a 98@980: 98@1000:b!", true,
		},
		{"nothing", nil, false, "", false},
		{"no primary header", []byte{0x85, 0, 0, 0}, false, "", false},
		{"a header that ends early", []byte{0x85, 0}, false, "", false},
		{"a length beyond the packet", []byte{0x85, 0, 0, 9, 0, 'x'}, false, "", false},
		{"too many", red(make([]RedBlock, MaxRedBlocks+1)...), false, "", false},
		{"cut in the primary block", two[:len(two)-1], true, "5@840:old 0@1000:ne!", true},
		{"cut before the primary block", two[:len(two)-3], true, "5@840:old", true},
		{"cut in a redundant block", two[:len(two)-4], true, "", true},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got, ok := AppendRedBlocks(nil, test.payload, 1000, test.cut)
			if text := blocksOf(got); text != test.want || ok != test.ok {
				t.Errorf("got %q %v, want %q %v", text, ok, test.want, test.ok)
			}
		})
	}
}

func FuzzAppendRedBlocks(f *testing.F) {
	f.Add(red(RedBlock{PT: 5, Timestamp: 160, Payload: []byte("old")}, RedBlock{PT: 0, Payload: []byte("new")}), uint32(1000), false)
	f.Add(red(make([]RedBlock, MaxRedBlocks)...), uint32(0), true)
	f.Add([]byte{0x85, 0, 0, 9, 0, 'x'}, uint32(5), false)
	f.Fuzz(func(t *testing.T, b []byte, ts uint32, cut bool) {
		var room [MaxRedBlocks]RedBlock
		got, ok := AppendRedBlocks(room[:0], b, ts, cut)
		if !ok && len(got) > 0 || len(got) > MaxRedBlocks || ok && !cut && (len(got) == 0 || !got[len(got)-1].Primary) {
			t.Fatalf("%d blocks, %v", len(got), ok)
		}
		if !ok || cut {
			return
		}
		for i := range got { // parse, write, parse is the identity
			got[i].Timestamp = ts - got[i].Timestamp
		}
		if again := red(got...); !bytes.Equal(again, b) {
			t.Fatalf("%x became %x", b, again)
		}
	})
}
