package save

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"

	"sipscope/capture"
	"sipscope/correlate"
)

// Captured holds the frames of calls in memory, for pages that carry them. After Capture it may be read from any
// goroutine.
type Captured struct {
	calls    map[uint32][]capture.Packet
	comments func(seq uint64) string
	left     map[uint32]bool
}

// Capture copies the frames of calls out of one pass over the captures. Calls beyond limit bytes of frames in all are
// left out, see Captured.Left; the bound holds before anything is copied, by the captured lengths.
func Capture(ctx context.Context, src Source, calls iter.Seq[*correlate.Call], limit int64) (*Captured, error) {
	k := &Captured{calls: map[uint32][]capture.Packet{}, comments: src.Comments, left: map[uint32]bool{}}
	if src.Frames == nil {
		return nil, fmt.Errorf("frames: %w", capture.ErrNotKept)
	}
	wanted := map[uint64][]uint32{}
	var last uint64
	for c := range calls {
		last = max(last, want(wanted, c))
	}
	pass, err := src.Frames()
	if err != nil {
		return nil, err
	}
	defer func() { _ = pass.Close() }()
	var b capture.Batch
	defer b.Release()
	for seq := uint64(0); seq < last; {
		if err := pass.Next(ctx, &b); errors.Is(err, io.EOF) {
			return nil, fmt.Errorf("the captures end at frame %d, before frame %d: %w", seq, last, io.ErrUnexpectedEOF)
		} else if err != nil {
			return nil, err
		}
		for i := range b.Packets {
			p := &b.Packets[i]
			seq = p.Seq
			for _, num := range wanted[p.Seq] {
				limit = k.add(num, p, limit)
			}
		}
	}
	return k, nil
}

// want notes the frames of a call, and gives the highest.
func want(wanted map[uint64][]uint32, c *correlate.Call) (last uint64) {
	add := func(seq uint64) {
		if nums := wanted[seq]; !slices.Contains(nums, c.Num) {
			wanted[seq] = append(nums, c.Num)
		}
		last = max(last, seq)
	}
	for i := range c.Messages {
		add(c.Messages[i].Seq)
		for j := range c.Messages[i].Pieces {
			add(c.Messages[i].Pieces[j].Seq)
		}
	}
	return last
}

// add copies a frame for a call, or leaves the call out, and gives what is left of the limit.
func (k *Captured) add(num uint32, p *capture.Packet, limit int64) int64 {
	if k.left[num] {
		return limit
	}
	if limit < int64(len(p.Data)) {
		for _, q := range k.calls[num] {
			limit += int64(len(q.Data))
		}
		delete(k.calls, num)
		k.left[num] = true
		return limit
	}
	q := *p
	q.Data = bytes.Clone(p.Data)
	k.calls[num] = append(k.calls[num], q)
	return limit - int64(len(p.Data))
}

// Left is how many calls were left out.
func (k *Captured) Left() int { return len(k.left) }

// File gives a call's frames as a pcapng file; nil for a call that was left out.
func (k *Captured) File(num uint32) ([]byte, error) {
	packets := k.calls[num]
	if len(packets) == 0 {
		return nil, nil
	}
	return PacketFile(packets, k.comments)
}

// PacketFile writes packets as a pcapng file in memory. comments may be nil.
func PacketFile(packets []capture.Packet, comments func(seq uint64) string) ([]byte, error) {
	var b bytes.Buffer
	w := pcapngWriter{w: &b, comments: comments}
	for i := range packets {
		if err := w.write(&packets[i]); err != nil {
			return nil, fmt.Errorf("frame %d: %w", packets[i].Seq, err)
		}
	}
	err := w.close()
	return b.Bytes(), err
}
