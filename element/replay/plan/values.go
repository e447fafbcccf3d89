package plan

import (
	"encoding/base64"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"sipscope/correlate/cut"
	"sipscope/element/transport"
)

// text reads a text, which may be base64 (!!binary).
func (d *reader) text(dst *string) func(*yaml.Node) error {
	return func(n *yaml.Node) error {
		if n.Kind != yaml.ScalarNode {
			return d.failf(n, "this is to be a text, not %s", kindName(n))
		}
		*dst = n.Value
		switch n.ShortTag() {
		case "!!null":
			*dst = ""
		case "!!binary":
			b, err := base64.StdEncoding.DecodeString(strings.Map(noBlanks, n.Value))
			if err != nil {
				return d.failf(n, "this is no base64: %v", err)
			}
			*dst = string(b)
		}
		return nil
	}
}

// noBlanks drops what base64 may be broken by.
func noBlanks(r rune) rune {
	if r == ' ' || r == '\n' || r == '\r' || r == '\t' {
		return -1
	}
	return r
}

func (d *reader) texts(dst *[]string) func(*yaml.Node) error {
	return func(n *yaml.Node) error {
		return d.items(n, "texts", MaxSteps, func(n *yaml.Node) error {
			var s string
			err := d.text(&s)(n)
			*dst = append(*dst, s)
			return err
		})
	}
}

func (d *reader) int64(dst *int64, least int64) func(*yaml.Node) error {
	return func(n *yaml.Node) error {
		v, err := strconv.ParseInt(n.Value, 10, 64)
		if n.Kind != yaml.ScalarNode || err != nil || v < least {
			return d.failf(n, "this is to be a whole number, not %s", kindName(n))
		}
		*dst = v
		return nil
	}
}

// int reads a number from 0 to 2^31-1.
func (d *reader) int(dst *int) func(*yaml.Node) error {
	return func(n *yaml.Node) error {
		var v int64
		if err := d.int64(&v, 0)(n); err != nil {
			return err
		}
		if v > 1<<31-1 {
			return d.failf(n, "%d is too large", v)
		}
		*dst = int(v)
		return nil
	}
}

func (d *reader) bool(dst *bool) func(*yaml.Node) error {
	return func(n *yaml.Node) error {
		switch {
		case n.Kind == yaml.ScalarNode && n.Value == "true":
			*dst = true
		case n.Kind == yaml.ScalarNode && n.Value == "false":
			*dst = false
		default:
			return d.failf(n, "this is to be true or false, not %s", kindName(n))
		}
		return nil
	}
}

// time reads a duration that is not negative.
func (d *reader) time(dst *int64) func(*yaml.Node) error {
	return func(n *yaml.Node) error {
		var v int64
		if err := d.anyTime(&v)(n); err != nil {
			return err
		}
		if v < 0 {
			return d.failf(n, "this is to be a time such as 1.5s, 200ms or 1m30s, not %s", kindName(n))
		}
		*dst = v
		return nil
	}
}

// anyTime reads a duration.
func (d *reader) anyTime(dst *int64) func(*yaml.Node) error {
	return func(n *yaml.Node) error {
		v, err := time.ParseDuration(n.Value)
		if n.Kind != yaml.ScalarNode || err != nil {
			return d.failf(n, "this is to be a time such as 1.5s, 200ms or 1m30s, not %s", kindName(n))
		}
		*dst = int64(v)
		return nil
	}
}

func (d *reader) proto(dst *transport.Proto) func(*yaml.Node) error {
	return func(n *yaml.Node) error {
		p, ok := transport.ParseProto(n.Value)
		if n.Kind != yaml.ScalarNode || !ok {
			return d.failf(n, "transport is udp, tcp, tls, ws or wss, not %s", kindName(n))
		}
		*dst = p
		return nil
	}
}

func (d *reader) address(dst *netip.AddrPort) func(*yaml.Node) error {
	return func(n *yaml.Node) error {
		a, err := netip.ParseAddrPort(n.Value)
		if n.Kind == yaml.ScalarNode && n.Value == (netip.AddrPort{}).String() {
			a, err = netip.AddrPort{}, nil
		}
		if n.Kind != yaml.ScalarNode || err != nil {
			return d.failf(n, "this is to be an address with a port, such as 192.0.2.1:5060, not %s", kindName(n))
		}
		*dst = a
		return nil
	}
}

func (d *reader) addresses(dst *[]netip.AddrPort) func(*yaml.Node) error {
	return func(n *yaml.Node) error {
		return d.items(n, "addresses", MaxSteps, func(n *yaml.Node) error {
			var a netip.AddrPort
			err := d.address(&a)(n)
			*dst = append(*dst, a)
			return err
		})
	}
}

// step reads one step as the file has it; renumber makes its numbers those of the plan.
func (d *reader) step(n *yaml.Node) error {
	d.lines["step"] = append(d.lines["step"], n.Line)
	s := Step{Call: -1, At: -1}
	var id, call, stream int
	m := messageText{end: -1}
	err := d.mapping(n, "a step", []field{
		{"id", d.int(&id)},
		{"kind", d.kind(&s.Kind)},
		{"from", d.text(&s.From)},
		{"to", d.text(&s.To)},
		{"at", d.time(&s.At)},
		{"after", d.after(&s.After)},
		{"gap", d.time(&s.Gap)},
		{"call", d.int(&call)},
		{"frame", d.uint64(&s.Frame)},
		{"transport", d.proto(&s.Proto)},
		{"repeats", d.int(&s.Repeats)},
		{"optional", d.bool(&s.Optional)},
		{"made", d.bool(&s.Made)},
		{"stream", d.int(&stream)},
		{"duration", d.time(&s.Duration)},
		{"why", d.text(&s.Why)},
		{"line-ends", d.text(&m.ends)},
		{"end", d.int(&m.end)},
		{"message", func(n *yaml.Node) error {
			m.given, m.exact = true, n.ShortTag() == "!!binary" || n.Style&yaml.DoubleQuotedStyle != 0
			return d.text(&m.text)(n)
		}},
	})
	if err != nil {
		return err
	}
	s.Call, s.Stream = call-1, max(stream-1, 0)
	if s.Message, err = d.message(n, &m); err != nil {
		return err
	}
	d.defaults(&s)
	d.ids = append(d.ids, id)
	d.p.Steps = append(d.p.Steps, s)
	return nil
}

// defaults fills in what a step that was put in by hand may leave out.
func (d *reader) defaults(s *Step) {
	if s.At < 0 {
		s.At = 0
		if n := len(d.p.Steps); n > 0 {
			s.At = d.p.Steps[n-1].At
		}
	}
	if s.Kind != Send && s.Kind != Expect {
		return
	}
	s.Call = max(s.Call, 0)
	if h, ok := d.p.Host(s.From); ok && s.Proto == 0 {
		s.Proto = h.Proto
	}
}

// messageText is a message as a file has it.
type messageText struct {
	given, exact bool   // exact: it was base64, or in double quotes
	text, ends   string // lines end in LF; ends is "crlf", "lf" or ""
	end          int    // line ends after the last line; -1: the usual number
}

// maxEnd bounds the line ends after the last line of a message.
const maxEnd = 16

// message gives the message its own line ends.
func (d *reader) message(n *yaml.Node, m *messageText) ([]byte, error) {
	switch {
	case !m.given:
		return nil, nil
	case m.exact:
		return []byte(m.text), nil
	case m.ends != "" && m.ends != "crlf" && m.ends != "lf":
		return nil, d.failf(n, "line-ends is crlf or lf, not %q", clip(m.ends, maxName))
	case m.end > maxEnd:
		return nil, d.failf(n, "end is at most %d", maxEnd)
	}
	text := strings.TrimRight(m.text, "\n")
	if m.end < 0 {
		m.end = usualEnd(text)
	}
	text += strings.Repeat("\n", m.end)
	if m.ends != "lf" {
		text = strings.ReplaceAll(text, "\n", "\r\n")
	}
	return []byte(text), nil
}

func (d *reader) kind(dst *Kind) func(*yaml.Node) error {
	return func(n *yaml.Node) error {
		for k := Send; k <= Wait; k++ {
			if n.Value == k.String() {
				*dst = k
				return nil
			}
		}
		return d.failf(n, "kind is send, expect, media or wait, not %s", kindName(n))
	}
}

func (d *reader) uint64(dst *uint64) func(*yaml.Node) error {
	return func(n *yaml.Node) error {
		v, err := strconv.ParseUint(n.Value, 10, 64)
		if n.Kind != yaml.ScalarNode || err != nil {
			return d.failf(n, "this is to be a whole number, not %s", kindName(n))
		}
		*dst = v
		return nil
	}
}

func (d *reader) after(dst *[]int) func(*yaml.Node) error {
	return func(n *yaml.Node) error {
		return d.items(n, "steps to wait for", maxSteps, func(n *yaml.Node) error {
			var id int
			err := d.int(&id)(n)
			*dst = append(*dst, id)
			return err
		})
	}
}

func (d *reader) stream(n *yaml.Node) error {
	d.lines["stream"] = append(d.lines["stream"], n.Line)
	var m Stream
	err := d.mapping(n, "a stream", []field{
		{"ssrc", func(n *yaml.Node) error {
			v, err := strconv.ParseUint(n.Value, 0, 32)
			if err != nil {
				return d.failf(n, "ssrc is to be a number of 32 bits, not %s", kindName(n))
			}
			m.SSRC = uint32(v)
			return nil
		}},
		{"from", d.text(&m.From)},
		{"to", d.text(&m.To)},
		{"src", d.address(&m.Src)},
		{"dst", d.address(&m.Dst)},
		{"type", d.text(&m.Type)},
		{"medium", d.int(&m.Medium)},
		{"secure", d.bool(&m.Secure)},
		{"step", d.int(&m.Step)},
		{"first", d.anyTime(&m.First)},
		{"payloads", func(n *yaml.Node) error {
			return d.items(n, "payload types", 128, func(n *yaml.Node) error { return d.payload(n, &m) })
		}},
	})
	d.p.Media = append(d.p.Media, m)
	return err
}

func (d *reader) payload(n *yaml.Node, m *Stream) error {
	var f cut.Payload
	var pt, clock, channels int64
	err := d.mapping(n, "a payload type", []field{
		{"pt", d.int64(&pt, 0)},
		{"name", d.text(&f.Name)},
		{"clock", d.int64(&clock, 0)},
		{"channels", d.int64(&channels, 0)},
		{"params", d.text(&f.Params)},
	})
	if err != nil {
		return err
	}
	if pt > 127 || clock > 1<<32-1 || channels > 255 {
		return d.failf(n, "pt is at most 127, clock 4294967295 and channels 255")
	}
	f.PT, f.Clock, f.Channels = uint8(pt), uint32(clock), uint8(channels) //nolint:gosec // checked
	m.Payloads = append(m.Payloads, f)
	return nil
}
