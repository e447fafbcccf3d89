package plan

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"sipscope/decode/sip"
	"sipscope/element/transport"
)

// Validate reports what a player could not play: the first contradiction, as an error that wraps ErrPlan or ErrTooLarge
// and names the step or the host. A plan that New or Read gave is valid.
func (p *Plan) Validate() error {
	if f := p.check(); f != nil {
		return f
	}
	return nil
}

// fault is a contradiction in a plan.
type fault struct {
	part  string // "host", "step", "credential", "stream"; "" for the plan as a whole
	index int    // of it, 0-based
	text  string
	is    error
}

// Error names the part of the plan.
func (f *fault) Error() string { return f.is.Error() + ": " + f.where() + f.text }

// Unwrap gives ErrPlan or ErrTooLarge.
func (f *fault) Unwrap() error { return f.is }

func (f *fault) where() string {
	if f.part == "" {
		return ""
	}
	return f.part + " " + strconv.Itoa(f.index+1) + ": "
}

func faultf(part string, index int, format string, args ...any) *fault {
	return &fault{part: part, index: index, text: fmt.Sprintf(format, args...), is: ErrPlan}
}

func tooLarge(format string, args ...any) *fault {
	return &fault{text: fmt.Sprintf(format, args...), is: ErrTooLarge}
}

func (p *Plan) check() *fault {
	if len(p.Hosts) > MaxHosts || len(p.Calls) > maxCalls || len(p.Steps) > maxSteps || len(p.Media) > maxStreams {
		return tooLarge("%d participants, %d calls, %d steps, %d streams", len(p.Hosts), len(p.Calls), len(p.Steps), len(p.Media))
	}
	v := validator{p: p, hosts: map[string]*Host{}}
	if f := v.checkHosts(); f != nil {
		return f
	}
	if strings.ContainsAny(p.MediaFile, "/\\\x00") || p.MediaFile == "." || p.MediaFile == ".." {
		return faultf("", 0, "the media file %q is to be a name without a folder", p.MediaFile)
	}
	total := 0
	for i := range p.Steps {
		s := &p.Steps[i]
		if text := v.checkStep(i, s); text != "" {
			return faultf("step", i, "%s", text)
		}
		if total += len(s.Message); total > MaxBytes {
			return tooLarge("more than %d bytes of messages", MaxBytes)
		}
	}
	return v.checkRest()
}

// What New adds to the messages comes on top of its limits.
const (
	maxCalls   = MaxCalls + maxMade
	maxStreams = 4096
	maxSteps   = MaxSteps + 2*maxMade + maxStreams
)

type validator struct {
	p     *Plan
	hosts map[string]*Host
}

func (v *validator) checkHosts() *fault {
	live := ""
	lower := map[string]bool{}
	for i := range v.p.Hosts {
		h := &v.p.Hosts[i]
		switch {
		case h.Name == "" || h.Name != nameOf(h.Name):
			return faultf("host", i, "the name %q is to be letters, digits, '.', '_' and '-', at most %d", h.Name, maxName)
		case lower[strings.ToLower(h.Name)]:
			return faultf("host", i, "another one is called %q", h.Name)
		case h.Part < Live || h.Part > Left:
			return faultf("host", i, "%s has no part: live, played or left", h.Name)
		case h.Part == Live && live != "":
			return faultf("host", i, "two hosts are live: %s and %s", live, h.Name)
		case !known(h.Proto):
			return faultf("host", i, "%s has no transport", h.Name)
		}
		if h.Part == Live {
			live = h.Name
		}
		lower[strings.ToLower(h.Name)] = true
		v.hosts[h.Name] = h
	}
	return nil
}

func known(p transport.Proto) bool { return p >= transport.UDP && p <= transport.WSS }

// checkStep checks what a step says by itself and of those before it.
func (v *validator) checkStep(i int, s *Step) string {
	if s.ID != i+1 {
		return fmt.Sprintf("its id is %d", s.ID)
	}
	if s.At < 0 || s.Gap < 0 || s.Duration < 0 || s.Repeats < 0 {
		return "a time or a number is less than 0"
	}
	if i > 0 && s.At < v.p.Steps[i-1].At {
		return fmt.Sprintf("it is before step %d", i)
	}
	last := 0
	for _, id := range s.After {
		if id <= last || id >= s.ID {
			return fmt.Sprintf("it waits for step %d: only steps before it, in ascending order", id)
		}
		last = id
	}
	text := v.checkEnds(s)
	if text == "" && (s.Kind == Send || s.Kind == Expect) {
		text = v.checkMessage(s)
	}
	return text
}

// checkMessage checks what a Send and an Expect have.
func (v *validator) checkMessage(s *Step) string {
	var m sip.Message
	if err := sip.Parse(s.Message, &m); err != nil {
		return fmt.Sprintf("its message: %v", err)
	}
	if !known(s.Proto) {
		return "it has no transport"
	}
	if s.Call < 0 || s.Call >= len(v.p.Calls) {
		return fmt.Sprintf("it belongs to call %d of %d", s.Call+1, len(v.p.Calls))
	}
	return ""
}

// checkEnds checks who does it, towards whom.
func (v *validator) checkEnds(s *Step) string {
	from, to := v.hosts[s.From], v.hosts[s.To]
	if from == nil {
		return fmt.Sprintf("no host is called %q", s.From)
	}
	if to == nil && s.needsTo() {
		return fmt.Sprintf("no host is called %q", s.To)
	}
	switch s.Kind {
	case Wait:
	case Send:
		if from.Part != Played || to.Part == Left || from == to {
			return fmt.Sprintf("a send goes from a played host to the live or another played one, not from %s (%s) to %s (%s)",
				from.Name, from.Part, to.Name, to.Part)
		}
	case Expect:
		if from.Part != Live || to.Part != Played {
			return fmt.Sprintf("an expect comes from the live host to a played one, not from %s (%s) to %s (%s)",
				from.Name, from.Part, to.Name, to.Part)
		}
	case Media:
		return v.checkMedia(s, from)
	default:
		return "it is neither send, expect, media nor wait"
	}
	return ""
}

// needsTo reports whether the step is nothing without somebody at its other end.
func (s *Step) needsTo() bool { return s.Kind != Wait && (s.Kind != Media || s.To != "") }

func (v *validator) checkMedia(s *Step, from *Host) string {
	if from.Part != Played {
		return fmt.Sprintf("media is sent by a played host, not by %s (%s)", from.Name, from.Part)
	}
	if s.Stream < 0 || s.Stream >= len(v.p.Media) {
		return fmt.Sprintf("stream %d of %d", s.Stream+1, len(v.p.Media))
	}
	return ""
}

// checkRest checks needs and streams.
func (v *validator) checkRest() *fault {
	for i, n := range v.p.Needs {
		if v.hosts[n.Host] == nil || n.Step < 0 || n.Step > len(v.p.Steps) {
			return faultf("credential", i, "host %q, step %d", n.Host, n.Step)
		}
	}
	for i := range v.p.Media {
		m := &v.p.Media[i]
		for _, name := range []string{m.From, m.To} {
			if name != "" && v.hosts[name] == nil {
				return faultf("stream", i, "no host is called %q", name)
			}
		}
		if m.Step < 0 || m.Step > len(v.p.Steps) {
			return faultf("stream", i, "step %d", m.Step)
		}
	}
	return nil
}

// uses reports whether a host takes part in any step.
func (p *Plan) uses(name string) bool {
	return slices.ContainsFunc(p.Steps, func(s Step) bool { return s.From == name || s.To == name })
}
