package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"sipscope/capture"
	"sipscope/correlate"
)

type exportCommand struct {
	input
	calls []string
	out   string
	force bool
}

func newExport(std stdio) *cobra.Command {
	c := &exportCommand{input: input{io: std}}
	cmd := &cobra.Command{
		Use:   "export FILE... -o OUT",
		Short: "Write the frames of calls to a capture of their own",
		Long: `Write the frames that carried the chosen calls' messages, fragments and TCP segments included, byte for byte and with
their times, to a pcap or (by the ending .pcapng) pcapng file.`,
		Example: `  sipscope export trace.pcap --call 3 -o call3.pcap
  sipscope export trace.pcap --filter 'state == "failed"' -o failed.pcapng`,
		RunE: c.run,
	}
	f := cmd.Flags()
	f.StringArrayVar(&c.calls, "call", nil, "call by number, Call-ID or a beginning of it (repeatable)")
	f.StringVarP(&c.out, "output", "o", "", "file to write: .pcap or .pcapng; - for standard output (pcap)")
	f.BoolVar(&c.force, "force", false, "overwrite an existing file")
	c.flags(f)
	c.filterFlags(f)
	return cmd
}

func (c *exportCommand) run(cmd *cobra.Command, args []string) (err error) {
	if c.out == "" {
		return usagef("try: -o call.pcap", "no output file named")
	}
	a, err := c.read(cmd.Context(), cmd, args, wants{again: true})
	if err != nil {
		return err
	}
	defer a.close()
	calls, err := a.pick(c.calls)
	if err != nil {
		return err
	}
	w, done, err := c.create()
	if err != nil {
		return err
	}
	n, err := a.copyFrames(cmd.Context(), framesOf(calls), w)
	if err = done(err); err != nil {
		return err
	}
	fmt.Fprintf(c.io.err, "%d frames of %d calls written to %s\n", n, len(calls), c.out)
	return a.err
}

// framesOf collects the frames that carried the calls' messages.
func framesOf(calls []correlate.Call) map[uint64]bool {
	frames := map[uint64]bool{}
	for i := range calls {
		for j := range calls[i].Messages {
			m := &calls[i].Messages[j]
			frames[m.Seq] = true
			for k := range m.Pieces {
				frames[m.Pieces[k].Seq] = true
			}
		}
	}
	return frames
}

// packetWriter is a pcap or pcapng writer.
type packetWriter interface {
	write(p *capture.Packet) error
	close() error
}

// create opens the output. done closes it, and removes what could not be finished.
func (c *exportCommand) create() (w packetWriter, done func(error) error, err error) {
	if c.out == "-" {
		w := &pcapWriter{w: c.io.out}
		return w, func(err error) error { return errors.Join(err, w.close()) }, nil
	}
	mode := os.O_WRONLY | os.O_CREATE | os.O_TRUNC
	if !c.force {
		mode |= os.O_EXCL
	}
	f, err := os.OpenFile(c.out, mode, 0o644) //nolint:gosec // the operator named it
	if errors.Is(err, os.ErrExist) {
		return nil, nil, usagef("--force overwrites it", "%s exists", c.out)
	}
	if err != nil {
		return nil, nil, usageError{err: err}
	}
	if strings.HasSuffix(strings.ToLower(c.out), "ng") {
		w = &pcapngWriter{w: f}
	} else {
		w = &pcapWriter{w: f}
	}
	return w, func(err error) error {
		err = errors.Join(err, w.close(), f.Close())
		if err != nil {
			_ = os.Remove(c.out)
		}
		return err
	}, nil
}

// copyFrames reads the captures once more and writes the chosen frames.
func (a *archive) copyFrames(ctx context.Context, frames map[uint64]bool, w packetWriter) (int, error) {
	again, err := a.files.Reopen()
	if err != nil {
		return 0, err
	}
	defer func() { _ = again.Close() }()
	var b capture.Batch
	defer b.Release()
	n := 0
	for n < len(frames) {
		if err := again.Next(ctx, &b); err != nil {
			if errors.Is(err, io.EOF) || errors.Is(err, capture.ErrDamaged) {
				break // the first pass has reported the damage already
			}
			return n, err
		}
		for i := range b.Packets {
			if !frames[b.Packets[i].Seq] {
				continue
			}
			if err := w.write(&b.Packets[i]); err != nil {
				return n, err
			}
			n++
		}
	}
	return n, nil
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
	if err := p.out.WritePacket(pkt); err != nil {
		return fmt.Errorf("%w (a .pcapng file takes several link types)", err)
	}
	return nil
}

func (p *pcapWriter) close() error {
	if p.out == nil {
		return nil
	}
	return p.out.Close()
}

type pcapngWriter struct {
	w   io.Writer
	out *capture.NGWriter
}

func (p *pcapngWriter) write(pkt *capture.Packet) (err error) {
	if p.out == nil {
		if p.out, err = capture.NewNGWriter(p.w); err != nil {
			return err
		}
	}
	return p.out.WritePacket(pkt, "")
}

func (p *pcapngWriter) close() error {
	if p.out == nil {
		return nil
	}
	return p.out.Close()
}
