package scenario

import (
	"errors"
	"fmt"
	"net/netip"
	"path"
	"strconv"
	"strings"
	"time"
)

// ErrFlow says that a flow file cannot be read.
var ErrFlow = errors.New("not a flow")

// MaxFlow bounds a flow file, in bytes.
const MaxFlow = 1 << 20

// parser reads a flow line by line.
type parser struct {
	flow Flow
	line int
}

// Parse reads a flow file; name is the path, of which the flow's name is made. Errors name the line.
func Parse(name, text string) (*Flow, error) {
	if len(text) > MaxFlow {
		return nil, fmt.Errorf("%w: %s has %d bytes, more than %d", ErrFlow, name, len(text), MaxFlow)
	}
	p := &parser{}
	p.flow.Name = strings.TrimSuffix(path.Base(name), ".flow")
	p.flow.Expect = Expect{Transactions: -1, Dialogs: -1, Early: -1, Retransmissions: -1}
	for line := range strings.Lines(text) {
		p.line++
		if err := p.read(strings.TrimRight(line, " \t\r\n")); err != nil {
			return nil, fmt.Errorf("%s line %d: %w", name, p.line, err)
		}
	}
	if err := p.flow.check(); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return &p.flow, nil
}

func (p *parser) read(line string) error {
	f := &p.flow
	switch {
	case line == "":
		return nil
	case strings.HasPrefix(line, "#"):
		if f.Title == "" {
			f.Title = strings.TrimSpace(line[1:])
		}
		return nil
	case strings.HasPrefix(line, "\t") || strings.HasPrefix(line, " "):
		return p.why(strings.TrimSpace(line))
	}
	words, err := split(line)
	if err != nil {
		return err
	}
	if len(words) >= 4 && words[1] == "->" {
		f.Steps = append(f.Steps, Step{From: words[0], To: words[2], What: strings.Join(words[3:], " ")})
		return nil
	}
	return p.keyword(words[0], words[1:])
}

// why takes an indented line: what the step above it does. The sections in brackets at the end are told apart.
func (p *parser) why(text string) error {
	if len(p.flow.Steps) == 0 {
		return fmt.Errorf("%w: an explanation without a step above it", ErrFlow)
	}
	s := &p.flow.Steps[len(p.flow.Steps)-1]
	if i := strings.LastIndex(text, " (RFC "); i >= 0 && strings.HasSuffix(text, ")") {
		text, s.RFC = text[:i], text[i+2:len(text)-1]
	}
	s.Why = strings.TrimSpace(s.Why + " " + text)
	return nil
}

// keywords are what a line may begin with, besides a step: what follows, and how many words of it there must be.
func (p *parser) keyword(word string, rest []string) error {
	for _, k := range [...]struct {
		word  string
		least int
		form  string
		take  func(rest []string) error
	}{
		{"figure", 1, "NUMBER", p.figure},
		{"host", 3, "NAME ROLE ADDRESS [OPTION=VALUE...]", p.host},
		{"bind", 2, "AOR CONTACT...", p.bind},
		{"dns", 3, "NAME TYPE VALUE", p.record},
		{"variant", 1, "NAME", p.variant},
		{"lasts", 1, "TIME", p.lasts},
		{"lose", 4, "FROM TO WHAT first|each|COUNT", p.loss},
		{"delay", 4, "FROM TO WHAT TIME", p.delay},
		{"do", 3, "TIME HOST VERB [TARGET] [OPTION=VALUE...]", p.action},
		{"on", 2, "HOST VERB [OPTION=VALUE...]", p.answer},
		{"expect", 1, "COUNT=NUMBER...", p.expect},
	} {
		if k.word != word {
			continue
		}
		if len(rest) < k.least {
			return fmt.Errorf("%w: want %q", ErrFlow, word+" "+k.form)
		}
		return k.take(rest)
	}
	return fmt.Errorf("%w: %q is none of figure, variant, lasts, host, bind, dns, lose, delay, do, on, expect, or a step \"A -> B MESSAGE\"",
		ErrFlow, word)
}

func (p *parser) figure(rest []string) error {
	p.flow.Figure = rest[0]
	return nil
}

func (p *parser) bind(rest []string) error {
	p.flow.Binds = append(p.flow.Binds, Bind{AOR: rest[0], Contacts: rest[1:]})
	return nil
}

func (p *parser) record(rest []string) error {
	p.flow.Records = append(p.flow.Records, Record{Name: rest[0], Type: rest[1], Value: strings.Join(rest[2:], " ")})
	return nil
}

func (p *parser) variant(rest []string) error {
	p.flow.Variant = rest[0]
	return nil
}

func (p *parser) lasts(rest []string) error {
	d, err := span(rest[0])
	p.flow.Lasts = d
	return err
}

func (p *parser) loss(rest []string) error {
	l := Loss{From: rest[0], To: rest[1], What: rest[2]}
	switch n, err := strconv.Atoi(rest[3]); {
	case rest[3] == "first":
		l.Count = 1
	case rest[3] == "each":
	case err != nil || n < 1:
		return fmt.Errorf("%w: %q is neither first, nor each, nor a count", ErrFlow, rest[3])
	default:
		l.Count = n
	}
	p.flow.Losses = append(p.flow.Losses, l)
	return nil
}

func (p *parser) delay(rest []string) error {
	by, err := span(rest[3])
	p.flow.Delays = append(p.flow.Delays, Delay{From: rest[0], To: rest[1], What: rest[2], By: by})
	return err
}

// span reads a time such as 40ms.
func span(word string) (int64, error) {
	d, err := time.ParseDuration(word)
	if err != nil || d < 0 {
		return 0, fmt.Errorf("%w: %q is no time such as 40ms or 2s", ErrFlow, word)
	}
	return int64(d), nil
}

func (p *parser) answer(rest []string) error {
	o, err := options(rest[2:])
	p.flow.Answers = append(p.flow.Answers, Answer{Who: rest[0], Verb: rest[1], Options: o})
	return err
}

func (p *parser) host(rest []string) error {
	h := Host{Name: rest[0]}
	for r := UserAgent; r <= Redirect; r++ {
		if r.String() == rest[1] {
			h.Role = r
		}
	}
	if h.Role == 0 {
		return fmt.Errorf("%w: %q is none of ua, proxy, registrar, redirect", ErrFlow, rest[1])
	}
	var err error
	if h.Addr, err = netip.ParseAddr(rest[2]); err != nil {
		return fmt.Errorf("%w: %w", ErrFlow, err)
	}
	if _, ok := p.flow.Host(h.Name); ok {
		return fmt.Errorf("%w: two hosts are called %s", ErrFlow, h.Name)
	}
	for i := range p.flow.Hosts {
		if p.flow.Hosts[i].Addr == h.Addr {
			return fmt.Errorf("%w: %s and %s have the same address", ErrFlow, h.Name, p.flow.Hosts[i].Name)
		}
	}
	if h.Options, err = options(rest[3:]); err != nil {
		return err
	}
	p.flow.Hosts = append(p.flow.Hosts, h)
	return nil
}

func (p *parser) action(rest []string) error {
	at, err := span(rest[0])
	if err != nil {
		return err
	}
	a := Action{At: at, Who: rest[1], Verb: rest[2]}
	rest = rest[3:]
	if len(rest) > 0 && strings.HasPrefix(rest[0], "sip") {
		a.Target, rest = rest[0], rest[1:]
	}
	a.Options, err = options(rest)
	p.flow.Actions = append(p.flow.Actions, a)
	return err
}

func (p *parser) expect(rest []string) error {
	o, err := options(rest)
	if err != nil {
		return err
	}
	e := &p.flow.Expect
	for name, value := range o {
		var to *int
		switch name {
		case "state":
			e.State = value
			continue
		case "transactions":
			to = &e.Transactions
		case "dialogs":
			to = &e.Dialogs
		case "early":
			to = &e.Early
		case "retransmissions":
			to = &e.Retransmissions
		default:
			return fmt.Errorf("%w: nothing is called %q", ErrFlow, name)
		}
		if *to, err = strconv.Atoi(value); err != nil || *to < 0 {
			return fmt.Errorf("%w: %s=%q is no count", ErrFlow, name, value)
		}
	}
	return nil
}

// options reads name=value words.
func options(words []string) (Options, error) {
	o := make(Options, len(words))
	for _, w := range words {
		name, value, ok := strings.Cut(w, "=")
		if !ok || name == "" {
			return nil, fmt.Errorf("%w: %q is not NAME=VALUE", ErrFlow, w)
		}
		if _, twice := o[name]; twice {
			return nil, fmt.Errorf("%w: %s is given twice", ErrFlow, name)
		}
		o[name] = value
	}
	return o, nil
}

// split cuts a line at blanks; double quotes keep them.
func split(line string) ([]string, error) {
	var words []string
	var word strings.Builder
	inside, quoted := false, false
	for _, r := range line {
		switch {
		case r == '"':
			quoted, inside = !quoted, true
		case (r == ' ' || r == '\t') && !quoted:
			if inside {
				words = append(words, word.String())
				word.Reset()
			}
			inside = false
		default:
			word.WriteRune(r)
			inside = true
		}
	}
	if quoted {
		return nil, fmt.Errorf("%w: a quote is not closed", ErrFlow)
	}
	if inside {
		words = append(words, word.String())
	}
	return words, nil
}

// check looks at what no line shows alone: names of hosts that are not there.
func (f *Flow) check() error {
	known := func(name, where string) error {
		if _, ok := f.Host(name); !ok {
			return fmt.Errorf("%w: %s names %q, which is no host", ErrFlow, where, name)
		}
		return nil
	}
	var errs []error
	for i := range f.Steps {
		s := &f.Steps[i]
		errs = append(errs, known(s.From, "step "+s.String()), known(s.To, "step "+s.String()))
	}
	for i := range f.Actions {
		a := &f.Actions[i]
		errs = append(errs, known(a.Who, "do "+a.Verb))
		for _, by := range [...]string{"via", "at"} {
			if name := a.Options[by]; name != "" {
				errs = append(errs, known(name, "do "+a.Verb+" "+by))
			}
		}
	}
	for i := range f.Answers {
		errs = append(errs, known(f.Answers[i].Who, "on "+f.Answers[i].Verb))
	}
	for i := range f.Losses {
		errs = append(errs, known(f.Losses[i].From, "lose"), known(f.Losses[i].To, "lose"))
	}
	for i := range f.Delays {
		errs = append(errs, known(f.Delays[i].From, "delay"), known(f.Delays[i].To, "delay"))
	}
	if len(f.Hosts) == 0 || len(f.Actions) == 0 {
		errs = append(errs, fmt.Errorf("%w: it needs hosts and something that one of them does", ErrFlow))
	}
	return errors.Join(errs...)
}
