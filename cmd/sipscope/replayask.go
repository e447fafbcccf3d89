package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/term"

	"sipscope/element/auth"
	"sipscope/element/replay/plan"
)

// credentials reads --cred. What is wrong is told without what it holds.
func (c *replayCommand) credentials() ([]auth.Credentials, error) {
	var all []auth.Credentials
	add := func(where, line string) error {
		parts := strings.SplitN(line, ":", 3)
		if len(parts) != 3 || parts[1] == "" {
			return usagef("REALM:USER:PASSWORD; an empty REALM stands for any", "%s is no REALM:USER:PASSWORD", where)
		}
		all = append(all, auth.Credentials{Realm: parts[0], User: parts[1], Password: parts[2]})
		return nil
	}
	for i, text := range c.creds {
		path, file := strings.CutPrefix(text, "@")
		if !file {
			if err := add(fmt.Sprintf("--cred number %d", i+1), text); err != nil {
				return nil, err
			}
			continue
		}
		if err := eachLine(path, func(n int, line string) error { return add(fmt.Sprintf("%s:%d", path, n), line) }); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// maxCredFile bounds a file of credentials, in bytes.
const maxCredFile = 1 << 20

// eachLine gives the lines of a file that are neither empty nor comments.
func eachLine(path string, line func(n int, text string) error) error {
	f, err := os.Open(path)
	if err != nil {
		return usageError{err: err, hint: "the file has lines of REALM:USER:PASSWORD"}
	}
	defer f.Close()
	s := bufio.NewScanner(io.LimitReader(f, maxCredFile))
	for n := 1; s.Scan(); n++ {
		text := strings.TrimRight(s.Text(), "\r")
		if strings.TrimSpace(text) == "" || strings.HasPrefix(text, "#") {
			continue
		}
		if err := line(n, text); err != nil {
			return err
		}
	}
	if err := s.Err(); err != nil {
		return usageError{err: fmt.Errorf("%s: %w", path, err)}
	}
	return nil
}

// consent shows what will be sent, and asks. What stays between our own sockets needs no consent.
func (r *replaying) consent(ctx context.Context) error {
	std := r.c.io
	if !r.c.quiet || !r.c.self && !r.c.yes {
		fmt.Fprint(std.err, r.summary())
	}
	if r.c.yes || r.c.self {
		return nil
	}
	if !term.IsTerminal(int(std.in.Fd())) {
		return usagef("add --yes when this is what you want; --dry-run shows the plan", "not sent: nobody can be asked")
	}
	fmt.Fprint(std.err, "Send this? [y/N] ")
	answer := make(chan string, 1)
	go func() { // reading cannot be interrupted
		line, _ := bufio.NewReader(std.in).ReadString('\n')
		answer <- strings.ToLower(strings.TrimSpace(line))
	}()
	select {
	case a := <-answer:
		if a == "y" || a == "yes" {
			return nil
		}
		return nothingError{"nothing was sent"}
	case <-ctx.Done():
		fmt.Fprintln(std.err)
		return ctx.Err()
	}
}

// summary says what will be sent, to whom, from where and how often.
func (r *replaying) summary() string {
	var b strings.Builder
	line := func(what, format string, args ...any) {
		fmt.Fprintf(&b, "  %-9s %s\n", what, oneLine(fmt.Sprintf(format, args...)))
	}
	fmt.Fprintf(&b, "%s\n", oneLine(r.plan.Title))
	sends, media := 0, 0
	for i := range r.plan.Steps {
		switch r.plan.Steps[i].Kind {
		case plan.Send:
			sends++
		case plan.Media:
			media++
		default:
		}
	}
	if r.c.self {
		line("to", "ourselves: all %d participants are played here", len(r.places))
	} else {
		line("to", "%s %s (--sut %s), which stands for %s", strings.ToLower(r.target.Proto.String()), r.target.Remote, r.c.sut, r.live)
	}
	var from []string
	for _, p := range r.places {
		from = append(from, r.placeText(&p))
	}
	line("from", "%s", strings.Join(from, ", "))
	if more := append(append([]string(nil), r.c.allow...), r.c.maps...); len(more) > 0 {
		line("also to", "%s", strings.Join(more, ", "))
	}
	line("sends", "%s", r.sendsText(sends, media))
	if !r.c.self && len(r.plan.Needs) > 0 && len(r.credentials) == 0 {
		line("but", "the recording answered challenges, and there is no --cred")
	}
	return b.String()
}

// placeText names a participant and where it listens, as far as that is known.
func (r *replaying) placeText(p *place) string {
	if at := p.listen[0].AddrPort; at.IsValid() {
		return p.host + " at " + at.String()
	}
	loop, own := r.ownAddress()
	if loop && own.Is4() {
		for i := range r.places {
			if r.places[i].host == p.host {
				return p.host + " at " + loopback(1, i, len(r.places)).String()
			}
		}
	}
	return p.host + " at " + own.String()
}

// sendsText says how much is sent.
func (r *replaying) sendsText(sends, media int) string {
	text := plural(sends, "message")
	if media > 0 && r.c.play != "off" {
		text += " and " + plural(media, "stream") + " of RTP"
	}
	l := &r.c.load
	switch {
	case l.findMax:
		return fmt.Sprintf("%s a play, at rising rates from %g to %g a second, %v each, at most %d at a time", text,
			r.many.Rate, l.maxRate, l.hold, r.many.Concurrent)
	case l.many():
		return fmt.Sprintf("%s a play, %s at %g a second, at most %d at a time: %d messages in at least %v", text,
			plural(r.many.Repeat, "play"), r.many.Rate, r.many.Concurrent, sends*r.many.Repeat,
			time.Duration(float64(r.many.Repeat)/r.many.Rate*1e9).Round(time.Second))
	}
	return text + ", once"
}
