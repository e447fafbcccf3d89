package correlate

import (
	"bytes"
	"testing"
)

// Texts come back as they were, and chunks without users are given up: a long run with a limit on calls stays flat.
func TestTexts(t *testing.T) {
	t.Parallel()
	var x texts
	var live []ref
	for i := range 20_000 {
		want := bytes.Repeat([]byte{byte(i)}, 1+i%700)
		r := x.add(want)
		if !bytes.Equal(x.get(r), want) {
			t.Fatalf("text %d differs", i)
		}
		live = append(live, r)
		if len(live) > 10 {
			x.drop(live[0])
			live = live[1:]
		}
		if i%5000 == 0 { // at times nothing lives
			for _, r := range live {
				x.drop(r)
			}
			live = nil
		}
	}
	held := 0
	for _, c := range x.chunks {
		if c != nil {
			held++
		}
	}
	if held > 2 {
		t.Errorf("%d chunks held for %d texts", held, len(live))
	}
	var y texts
	for range 10 { // each text is dropped while its chunk is in use, and the next one needs another
		y.drop(y.add(make([]byte, chunkSize*3/4)))
	}
	for i, c := range y.chunks[:len(y.chunks)-1] {
		if c != nil {
			t.Errorf("chunk %d of %d is held without a text", i, len(y.chunks))
		}
	}
	big := bytes.Repeat([]byte{'x'}, 3*chunkSize)
	if r := x.add(big); !bytes.Equal(x.get(r), big) {
		t.Error("a text larger than a chunk differs")
	}
	if r := x.add(nil); len(x.get(r)) != 0 {
		t.Error("the empty text is not empty")
	}
}
