package flowtest

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// step reads a line that begins with a time.
func (p *parser) step(when string, args []token) error {
	d, err := time.ParseDuration(when[1:])
	if err != nil || d < 0 {
		return fmt.Errorf("time %q: want +20ms or @1.5s", when)
	}
	at := d
	if when[0] == '+' {
		at += p.now
	}
	if at > maxSpan || len(p.f.steps) == maxSteps {
		return fmt.Errorf("a flow has at most %d steps within %v", maxSteps, maxSpan)
	}
	p.now = at
	s := step{line: p.at, at: at}
	if len(args) > 0 && args[0].key == "" && args[0].text == "rtp" {
		err = p.rtp(&s, args[1:])
	} else {
		err = p.message(&s, args)
	}
	p.f.steps = append(p.f.steps, s)
	return err
}

// message reads "A > B VERB ...".
func (p *parser) message(s *step, args []token) error {
	if len(args) < 4 || args[1].text != ">" || args[3].key != "" {
		return errors.New("want: +TIME HOST > HOST METHOD, STATUS or verb")
	}
	if s.a = p.findHost(args[0].text); s.a == nil {
		return fmt.Errorf("no host %q", args[0].text)
	}
	if s.b = p.findHost(args[2].text); s.b == nil {
		return fmt.Errorf("no host %q", args[2].text)
	}
	if s.a == s.b {
		return fmt.Errorf("%s sends to itself", s.a.name)
	}
	s.verb = args[3].text
	for _, t := range args[4:] {
		if t.key != "" {
			s.opts = append(s.opts, t)
		} else {
			s.words = append(s.words, t)
		}
	}
	if isMethod(s.verb) || isStatus(s.verb) {
		return p.sip(s)
	}
	return p.verb(s)
}

// sip checks the words and keys of a request or response.
func (p *parser) sip(s *step) error {
	if len(p.f.calls) == 0 {
		return errors.New("no call is declared yet: call NAME from HOST to HOST")
	}
	s.call = p.f.calls[len(p.f.calls)-1]
	if name, ok := s.opt("call"); ok {
		if s.call = p.findCall(name); s.call == nil {
			return fmt.Errorf("no call %q", name)
		}
	}
	if name, ok := s.opt("with"); ok && p.findHost(name) == nil {
		return fmt.Errorf("no host %q", name)
	}
	for _, t := range s.words {
		if !s.sipWord(t) {
			return fmt.Errorf("a message has no flag %q", t.text)
		}
	}
	for _, t := range s.opts {
		if !strings.HasPrefix(t.key, "header.") && !isSIPKey(t.key) && !isWireKey(t.key) {
			return fmt.Errorf("a message has no key %s", t.key)
		}
	}
	return s.wire()
}

// sipWord reports whether a word without key may stand in a message's line.
func (s *step) sipWord(t token) bool {
	if isStatus(s.verb) {
		if t.quoted || isMethod(t.text) {
			return true
		}
	} else if strings.ContainsAny(t.text, ":*") {
		return true
	}
	switch t.text {
	case "retransmit", "initial", "own", "auth", "stale", "rel", "anyway", "lost", "lf", "compact", "more", "noack":
		return !t.quoted
	}
	return false
}

func isSIPKey(key string) bool {
	switch key {
	case "as", "of", "call", "with", "callid", "branch", "tag", "cseq", "contact", "without", "body", "type", "sdp",
		"sdp.dir", "sdp.port", "sdp.addr", "pidf", "event", "state", "expires", "password", "raw":
		return true
	}
	return false
}

func isWireKey(key string) bool {
	switch key {
	case "transport", "sport", "dport", "frag", "frag.drop", "frag.order", "split", "drop", "order", "resend", "dup",
		"dup.iface", "iface":
		return true
	}
	return false
}

// verb checks a step that is no SIP message.
func (p *parser) verb(s *step) error {
	switch s.verb {
	case "connect", "close", "reset", "probe", "keepalive", "pong", "unreachable":
	case "bytes":
		if _, ok := s.opt("data"); !ok {
			return errors.New("bytes needs data=")
		}
	default:
		return fmt.Errorf("%q is no method, status code or verb", s.verb)
	}
	for _, t := range s.words {
		if t.text != "lost" && t.text != "noack" && t.text != "more" {
			return fmt.Errorf("%s has no flag %q", s.verb, t.text)
		}
	}
	for _, t := range s.opts {
		if !isWireKey(t.key) && (s.verb != "bytes" || t.key != "data") {
			return fmt.Errorf("%s has no key %s", s.verb, t.key)
		}
	}
	return s.wire()
}

// wire checks the values of the keys that say how a payload is carried.
func (s *step) wire() error {
	for _, t := range s.opts {
		if err := wireValue(t); err != nil {
			return fmt.Errorf("%s=%s: %w", t.key, t.text, err)
		}
	}
	return nil
}

func wireValue(t token) (err error) {
	switch t.key {
	case "transport":
		if t.text != "udp" && t.text != "tcp" {
			err = errors.New("want udp or tcp")
		}
	case "sport", "dport":
		_, err = number(t.text, 1, 65535)
	case "frag":
		_, err = number(t.text, 8, 65535)
	case "frag.drop", "drop", "resend":
		_, err = number(t.text, 1, 1000)
	case "frag.order", "order", "split":
		_, err = numbers(t.text)
	case "iface", "dup.iface":
		_, err = number(t.text, 0, maxInterfaces-1)
	case "cseq":
		_, err = number(t.text, 0, 1<<31-1)
	case "dup":
		var d time.Duration
		if d, err = time.ParseDuration(t.text); err == nil && (d < 0 || d > time.Minute) {
			err = errors.New("want a duration up to 1m")
		}
	}
	return err
}

// numbers reads a list of positive numbers.
func numbers(s string) ([]int, error) {
	var out []int
	for v := range strings.SplitSeq(s, ",") {
		n, err := number(v, 1, 65535)
		if err != nil {
			return nil, err
		}
		out = append(out, n)
	}
	return out, nil
}

// rtp reads "A[:PORT] <> B[:PORT] CODEC INTERVAL xN".
func (p *parser) rtp(s *step, args []token) error {
	if len(args) < 6 || args[1].text != "<>" && args[1].text != ">" {
		return errors.New("want: +TIME rtp HOST[:PORT] <> HOST[:PORT] PCMU 20ms x50")
	}
	s.verb, s.both = "rtp", args[1].text == "<>"
	var err error
	if s.a, s.aPort, err = p.mediaEnd(args[0].text); err != nil {
		return err
	}
	if s.b, s.bPort, err = p.mediaEnd(args[2].text); err != nil {
		return err
	}
	if s.a == s.b {
		return fmt.Errorf("%s sends to itself", s.a.name)
	}
	if err := rtpWords(args[3].text, args[4].text, args[5].text); err != nil {
		return err
	}
	s.words = args[3:6]
	for _, t := range args[6:] {
		if t.key != "iface" && t.key != "dup" {
			return fmt.Errorf("rtp has no key or flag %q", t.key+t.text)
		}
		s.opts = append(s.opts, t)
	}
	return s.wire()
}

// rtpWords checks codec, interval and count.
func rtpWords(name, every, count string) error {
	if c, ok := codecOf(name); !ok || c.fill == 0 {
		return fmt.Errorf("codec %q: want PCMU or PCMA", name)
	}
	if d, err := time.ParseDuration(every); err != nil || d < time.Millisecond || d > 100*time.Millisecond {
		return fmt.Errorf("interval %q: want 1ms to 100ms", every)
	}
	if _, err := number(strings.TrimPrefix(count, "x"), 1, maxRTP); err != nil || count[0] != 'x' {
		return fmt.Errorf("%q: want x1 to x%d packets", count, maxRTP)
	}
	return nil
}

// mediaEnd reads HOST or HOST:PORT.
func (p *parser) mediaEnd(text string) (*host, uint16, error) {
	name, port, given := strings.Cut(text, ":")
	h := p.findHost(name)
	if h == nil {
		return nil, 0, fmt.Errorf("no host %q", name)
	}
	if !given {
		return h, h.rtp, nil
	}
	n, err := number(port, 1, 65535)
	if err != nil {
		return nil, 0, fmt.Errorf("port of %s: %w", name, err)
	}
	return h, uint16(n), nil
}
