package main

import (
	"bytes"
	"errors"
	"testing"
	"time"
)

// stubborn fails after n writes.
type stubborn struct {
	bytes.Buffer
	n   int
	err error
}

func (s *stubborn) Write(p []byte) (int, error) {
	if s.n--; s.n < 0 {
		return 0, s.err
	}
	return s.Buffer.Write(p)
}

// Whatever the sizes, all bytes arrive in order, and Close returns.
func TestBehindWritesAll(t *testing.T) {
	t.Parallel()
	for _, total := range []int{0, 1, behindSize - 1, behindSize, behindSize + 1, 3 * behindSize, 7*behindSize + 5} {
		var want, got bytes.Buffer
		b := newBehind(&got)
		for i := 0; want.Len() < total; i++ {
			piece := bytes.Repeat([]byte{byte(i)}, min(1+i*977%4000, total-want.Len()))
			want.Write(piece)
			if n, err := b.Write(piece); n != len(piece) || err != nil {
				t.Fatal(n, err)
			}
		}
		done := make(chan error, 1)
		go func() { done <- b.Close() }()
		select {
		case err := <-done:
			if err != nil || !bytes.Equal(want.Bytes(), got.Bytes()) {
				t.Errorf("%d bytes: %v, equal %t", total, err, bytes.Equal(want.Bytes(), got.Bytes()))
			}
		case <-time.After(10 * time.Second):
			t.Fatalf("%d bytes: Close does not return", total)
		}
	}
}

// An error of the writer beneath is told, and ends nothing else.
func TestBehindTellsErrors(t *testing.T) {
	t.Parallel()
	full := errors.New("disk full")
	b := newBehind(&stubborn{n: 1, err: full})
	for range 40 {
		_, _ = b.Write(make([]byte, behindSize/3))
	}
	if err := b.Close(); !errors.Is(err, full) {
		t.Errorf("error %v, want %v", err, full)
	}
}
