package save

import (
	"context"
	"errors"
	"fmt"
	"io"

	"sipscope/capture"
	"sipscope/correlate"
)

// pageBits is the binary logarithm of the frames of a page: 8 KiB of bits.
const pageBits = 16

// frameSet is a set of frames by Seq: a bit a frame of those parts of a capture where there are any.
type frameSet struct {
	pages []*[1 << (pageBits - 6)]uint64
	n     int    // frames
	last  uint64 // the highest
}

func (s *frameSet) add(seq uint64) {
	page := seq >> pageBits
	for page >= uint64(len(s.pages)) {
		s.pages = append(s.pages, nil)
	}
	if s.pages[page] == nil {
		s.pages[page] = new([1 << (pageBits - 6)]uint64)
	}
	word, bit := &s.pages[page][seq>>6&(1<<(pageBits-6)-1)], uint64(1)<<(seq&63)
	if *word&bit == 0 {
		*word |= bit
		s.n++
		s.last = max(s.last, seq)
	}
}

func (s *frameSet) has(seq uint64) bool {
	page := seq >> pageBits
	return page < uint64(len(s.pages)) && s.pages[page] != nil &&
		s.pages[page][seq>>6&(1<<(pageBits-6)-1)]&(1<<(seq&63)) != 0
}

// addMessage adds the frames that carried a message.
func (s *frameSet) addMessage(m *correlate.Message) {
	s.add(m.Seq)
	for i := range m.Pieces {
		s.add(m.Pieces[i].Seq)
	}
}

// packetWriter is a pcap or pcapng file on its way.
type packetWriter interface {
	write(p *capture.Packet) error
	close() error
}

// pcapWriter makes the file when the first packet tells the link type.
type pcapWriter struct {
	w   io.Writer
	out *capture.Writer
}

func (p *pcapWriter) write(pkt *capture.Packet) (err error) {
	if p.out == nil {
		if p.out, err = capture.NewWriter(p.w, pkt.Link); err != nil {
			return err
		}
	}
	err = p.out.WritePacket(pkt)
	if errors.Is(err, capture.ErrLinkType) {
		return fmt.Errorf("%w (a .pcapng file takes several)", err)
	}
	return err
}

func (p *pcapWriter) close() error {
	if p.out == nil {
		return nil
	}
	return p.out.Close()
}

// pcapngWriter keeps the comments.
type pcapngWriter struct {
	w        io.Writer
	out      *capture.NGWriter
	comments func(seq uint64) string
}

func (p *pcapngWriter) write(pkt *capture.Packet) (err error) {
	if p.out == nil {
		if p.out, err = capture.NewNGWriter(p.w, capture.Application("sipscope")); err != nil {
			return err
		}
	}
	comment := ""
	if p.comments != nil {
		comment = p.comments(pkt.Seq)
	}
	return p.out.WritePacket(pkt, comment)
}

func (p *pcapngWriter) close() error {
	if p.out == nil {
		return nil
	}
	return p.out.Close()
}

func writePcap(ctx context.Context, o *output, job *Job) error {
	return writeFrames(ctx, o, job, &pcapWriter{w: o})
}

func writePcapng(ctx context.Context, o *output, job *Job) error {
	return writeFrames(ctx, o, job, &pcapngWriter{w: o, comments: job.Source.Comments})
}

// writeFrames collects the frames that carried the messages, and copies them from a second pass.
func writeFrames(ctx context.Context, o *output, job *Job, w packetWriter) error {
	var frames frameSet
	connections := wsFrames{}
	o.p.TotalFrames = -1
	for c := range o.calls(job) {
		for i := range c.Messages {
			if job.Messages == nil || job.Messages(c, i) {
				frames.addMessage(&c.Messages[i])
				connections.addMessage(&c.Messages[i])
			}
		}
	}
	if err := o.end(nil); err != nil {
		return err
	}
	if frames.n == 0 {
		return ErrNothing
	}
	if err := connections.add(ctx, o, job.Source.Frames, &frames); err != nil {
		return err
	}
	o.p.TotalFrames, o.p.LastPass = frames.n, frames.last
	if err := copyFrames(ctx, o, job.Source.Frames, &frames, w); err != nil {
		return err
	}
	return w.close()
}

// copyFrames goes through the captures once more, as far as frames are wanted.
func copyFrames(
	ctx context.Context, o *output, begin func() (Frames, error), frames *frameSet, w packetWriter,
) error {
	pass, err := begin()
	if err != nil {
		return err
	}
	defer func() { _ = pass.Close() }()
	var b capture.Batch
	defer b.Release()
	for o.p.Frames < frames.n {
		if err := pass.Next(ctx, &b); err != nil {
			return missing(o, frames, err)
		}
		for i := range b.Packets {
			p := &b.Packets[i]
			if o.p.Pass = p.Seq; !frames.has(p.Seq) {
				continue
			}
			if err := w.write(p); err != nil {
				return err
			}
			o.p.Frames++
		}
		o.tell(false)
	}
	return nil
}

// missing is the error of a pass that ended before the last frame that is wanted: the first pass had it.
func missing(o *output, frames *frameSet, err error) error {
	if stopped := o.stopped(); stopped != nil {
		return stopped
	}
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return fmt.Errorf("only %d of %d frames could be read again, none after frame %d: %w",
		o.p.Frames, frames.n, o.p.Pass, err)
}
