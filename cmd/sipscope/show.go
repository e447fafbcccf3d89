package main

import (
	"bufio"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"sipscope/correlate"
	"sipscope/decode"
	"sipscope/decode/sip"
	"sipscope/render/columns"
	"sipscope/render/export"
	"sipscope/render/text"
)

type showCommand struct {
	input
	calls   []string
	message int
	format  string
	color   string
}

func newShow(std stdio) *cobra.Command {
	c := &showCommand{input: input{io: std}}
	cmd := &cobra.Command{
		Use:   "show FILE... --call N | --message N",
		Short: "Show messages, raw or parsed",
		Long: `Show the messages of calls, or one message: with --call the N-th of the call, without it the N-th of the capture.

raw prints the text as it was, safe for a terminal (--format bytes writes the very bytes); parsed lists each header with
what it means, and under the line that it concerns every departure from the grammar with its RFC section.`,
		Example: `  sipscope show trace.pcap --call 1
  sipscope show trace.pcap --call 1 --message 3 --format parsed
  sipscope show trace.pcap --message 118
  sipscope show trace.pcap --message 118 --format bytes > invite.sip`,
		RunE: c.run,
	}
	f := cmd.Flags()
	f.StringArrayVar(&c.calls, "call", nil, "call by number, Call-ID or a beginning of it (repeatable)")
	f.IntVar(&c.message, "message", 0, "one message, 1-based: of the call, or of the capture")
	f.StringVar(&c.format, "format", "raw", "raw, parsed, json or bytes")
	f.StringVar(&c.color, "color", "auto", "auto, always or never")
	c.flags(f)
	c.filterFlags(f)
	return cmd
}

// shown is a message to show, with its text.
type shown struct {
	correlate.Message
	call  uint32
	index int // 1-based in its call, 0 when it was asked for by its place in the capture
	raw   []byte
}

func (c *showCommand) run(cmd *cobra.Command, args []string) error {
	if err := oneOf("--format", c.format, "raw", "parsed", "json", "bytes"); err != nil {
		return err
	}
	color, err := useColor(c.color, c.io.out)
	if err != nil {
		return err
	}
	if c.message < 0 {
		return usagef("messages are numbered from 1", "--message %d", c.message)
	}
	nth := &nthMessage{n: c.message}
	w := wants{again: true}
	if c.message > 0 && len(c.calls) == 0 {
		w.sink = nth
	}
	a, err := c.read(cmd.Context(), cmd, args, w)
	if err != nil {
		return err
	}
	defer a.close()
	var list []shown
	if w.sink != nil {
		if nth.found == nil {
			return nothingError{fmt.Sprintf("no message %d: the capture has %d", c.message, nth.seen)}
		}
		list = []shown{*nth.found}
	} else if list, err = c.ofCalls(a); err != nil {
		return err
	}
	out := bufio.NewWriter(c.io.out)
	for i := range list {
		if err := c.write(out, &list[i], i, color); err != nil {
			return err
		}
	}
	if err := out.Flush(); err != nil {
		return err
	}
	return a.err
}

// nthMessage is a Sink that keeps one message of a run.
type nthMessage struct {
	n, seen int
	found   *shown
}

// Event implements correlate.Sink.
func (s *nthMessage) Event(e *correlate.Event) error {
	if e.Message == nil {
		return nil
	}
	if s.seen++; s.seen != s.n {
		return nil
	}
	m := e.Message
	s.found = &shown{
		Message: correlate.Message{
			Seq: m.Seq, Nth: m.Nth, Time: m.Time, Src: m.Src, Dst: m.Dst, Transport: m.Transport, Flags: m.Flags, Path: m.Path,
			Status: m.SIP.Status, Repeats: -1, Txn: -1, Dialog: -1,
		},
		call: e.Verdict.Call, raw: append([]byte(nil), m.SIP.Raw...),
	}
	return nil
}

// ofCalls collects the messages of the chosen calls.
func (c *showCommand) ofCalls(a *archive) ([]shown, error) {
	calls, err := a.pick(c.calls)
	if err != nil {
		return nil, err
	}
	var list []shown
	for i := range calls {
		for j := range calls[i].Messages {
			if c.message > 0 && j != c.message-1 {
				continue
			}
			m := calls[i].Messages[j]
			raw, err := a.text(&m)
			if err != nil {
				return nil, err
			}
			list = append(list, shown{Message: m, call: calls[i].Num, index: j + 1, raw: raw})
		}
	}
	if len(list) == 0 {
		return nil, nothingError{fmt.Sprintf("no message %d in the call", c.message)}
	}
	return list, nil
}

func (c *showCommand) write(w io.Writer, s *shown, i int, color bool) error {
	var m sip.Message
	if err := sip.Parse(s.raw, &m); err != nil {
		return fmt.Errorf("frame %d: %w", s.Seq, err)
	}
	switch c.format {
	case "bytes":
		_, err := w.Write(s.raw)
		return err
	case "json":
		return export.WriteMessageJSON(w, s.call, s.index-1, &s.Message, &m)
	}
	if i > 0 {
		if _, err := fmt.Fprintln(w); err != nil {
			return err
		}
	}
	if _, err := fmt.Fprintln(w, s.heading()); err != nil {
		return err
	}
	opts := text.MessageOptions{Color: color}
	if c.format == "parsed" {
		return text.ParsedMessage(w, &m, opts)
	}
	return text.RawMessage(w, s.raw, opts)
}

// heading says where the message comes from.
func (s *shown) heading() string {
	var place string
	if s.index > 0 {
		place = fmt.Sprintf("message %d of call %d · ", s.index, s.call)
	} else {
		place = fmt.Sprintf("call %d · ", s.call)
	}
	line := fmt.Sprintf("── %sframe %d · %s · %s → %s · %s · %d bytes", place, s.Seq,
		time.Unix(0, s.Time).UTC().Format("2006-01-02 15:04:05.000000"), s.Src, s.Dst, s.Transport, len(s.raw))
	if !s.Path.IsZero() {
		line += " · in " + s.Path.String()
	}
	if s.Repeats >= 0 && s.Flags&decode.TapDuplicate == 0 {
		line += fmt.Sprintf(" · retransmission of message %d after %s", s.Repeats+1, columns.Duration(s.Interval))
	}
	if s.Flags&decode.TapDuplicate != 0 {
		line += " · the tap's second sight of the frame"
	}
	if s.Flags&decode.Truncated != 0 {
		line += " · truncated"
	}
	return line
}
