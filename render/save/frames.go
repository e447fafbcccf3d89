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
	secrets  func() []byte // asked before the first packet; nil for none
}

func (p *pcapngWriter) write(pkt *capture.Packet) (err error) {
	if p.out == nil {
		if err = p.begin(); err != nil {
			return err
		}
	}
	comment := ""
	if p.comments != nil {
		comment = p.comments(pkt.Seq)
	}
	return p.out.WritePacket(pkt, comment)
}

// begin makes the file.
func (p *pcapngWriter) begin() (err error) {
	if p.out, err = capture.NewNGWriter(p.w, capture.Application("sipscope")); err != nil || p.secrets == nil {
		return err
	}
	if log := p.secrets(); len(log) > 0 {
		return p.out.WriteSecrets(log)
	}
	return nil
}

func (p *pcapngWriter) close() error {
	if p.out == nil {
		return nil
	}
	return p.out.Close()
}

func writePcap(ctx context.Context, o *output, job *Job) error {
	return writeFrames(ctx, o, job, newConnections(job), &pcapWriter{w: o})
}

func writePcapng(ctx context.Context, o *output, job *Job) error {
	whole := newConnections(job)
	w := &pcapngWriter{w: o, comments: job.Source.Comments}
	if job.Secrets {
		w.secrets = func() []byte { return whole.log }
	}
	return writeFrames(ctx, o, job, whole, w)
}

// writeFrames collects the frames that carried the messages, and copies them from a second pass, with those of connections
// that are to be whole; nil for none.
func writeFrames(ctx context.Context, o *output, job *Job, whole *connections, w packetWriter) error {
	var frames frameSet
	ws := wsFrames{}
	o.p.TotalFrames = -1
	for c := range o.calls(job) {
		for i := range c.Messages {
			if job.Messages == nil || job.Messages(c, i) {
				frames.addMessage(&c.Messages[i])
				ws.addMessage(&c.Messages[i])
				if whole != nil {
					whole.addMessage(&c.Messages[i])
				}
			}
		}
	}
	if err := o.end(nil); err != nil {
		return err
	}
	if frames.n == 0 {
		return ErrNothing
	}
	if err := ws.add(ctx, o, job.Source.Frames, &frames); err != nil {
		return err
	}
	if whole != nil && len(whole.spans) == 0 {
		whole = nil
	}
	o.p.TotalFrames, o.p.LastPass = frames.n, frames.last
	if whole != nil {
		o.p.TotalFrames, o.p.LastPass = -1, 0 // nobody knows what comes behind the last message
	}
	if err := copyFrames(ctx, o, job.Source.Frames, &frames, whole, w); err != nil {
		return err
	}
	return w.close()
}

// copyFrames goes through the captures once more, as far as frames are wanted: to the end for whole connections.
func copyFrames(
	ctx context.Context, o *output, begin func() (Frames, error), frames *frameSet, whole *connections, w packetWriter,
) error {
	pass, err := begin()
	if err != nil {
		return err
	}
	defer func() { _ = pass.Close() }()
	var b capture.Batch
	defer b.Release()
	for found := 0; found < frames.n || whole != nil; {
		if err := pass.Next(ctx, &b); err != nil {
			if found == frames.n && o.stopped() == nil {
				return nil // of a damaged capture, what it has
			}
			return missing(o, frames, found, err)
		}
		for i := range b.Packets {
			p := &b.Packets[i]
			o.p.Pass = p.Seq
			switch {
			case frames.has(p.Seq):
				found++
			case whole == nil || !whole.has(p):
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
func missing(o *output, frames *frameSet, found int, err error) error {
	if stopped := o.stopped(); stopped != nil {
		return stopped
	}
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return fmt.Errorf("only %d of %d frames could be read again, none after frame %d: %w",
		found, frames.n, o.p.Pass, err)
}
