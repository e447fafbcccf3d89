package scenario

import (
	"fmt"
	"net/netip"
	"strings"
)

// Role is what kind of element a host is.
type Role uint8

// Roles.
const (
	UserAgent Role = iota + 1
	Proxy
	Registrar
	Redirect
)

// String is the role as flow files have it.
func (r Role) String() string {
	return [...]string{"", "ua", "proxy", "registrar", "redirect"}[r]
}

// Flow is one call flow.
type Flow struct {
	Name   string // of the file, without its ending
	Title  string // one sentence
	Figure string // in the SIP textbook, e.g. "1-4"; empty for none
	// Variant is the name of the textbook's flow that this one varies; empty for none.
	Variant string
	// Lasts is how long it takes from the first action to the last message, in nanoseconds, where that is more than
	// seconds: timers that run out. 0 where it is not.
	Lasts int64

	Hosts   []Host
	Binds   []Bind
	Records []Record
	Losses  []Loss
	Delays  []Delay
	Actions []Action
	Answers []Answer
	Steps   []Step
	Expect  Expect
}

// Host is one element with an address of its own, port 5060.
type Host struct {
	Name    string
	Role    Role
	Addr    netip.Addr
	Options Options
}

// Bind is what the location service knows before the flow begins.
type Bind struct {
	AOR      string
	Contacts []string // URIs, with ;q= when they have a preference
}

// Record is a line of the name service: "proxy.b.com", "a", "127.0.2.1".
type Record struct {
	Name, Type, Value string
}

// Loss is a message that gets lost: the first Count of those that From sends to To, or each when Count is 0.
type Loss struct {
	From, To, What string
	Count          int
}

// Delay is a message that is held back for a time: the first one that From sends to To.
type Delay struct {
	From, To, What string
	By             int64 // nanoseconds
}

// Action is what a host does by itself.
type Action struct {
	At      int64 // nanoseconds after the beginning
	Who     string
	Verb    string // "call", "register", "message", "subscribe", "publish"
	Target  string // a URI; empty for none
	Options Options
}

// Answer is how a host behaves when another one asks it something.
type Answer struct {
	Who, Verb string // "call", "subscribe"
	Options   Options
}

// Step is a message that must be seen.
type Step struct {
	From, To string
	What     string // method and Request-URI, or status and the method when that is not plain: "INVITE sip:bob@b.com", "200 CANCEL"
	Why      string // what it does and why
	RFC      string // section, e.g. "RFC 3261 13.2.1"; empty for none
}

// Expect is what an analyzer must count in the flow's capture; -1 or "" where the flow does not say.
type Expect struct {
	Transactions, Dialogs, Early, Retransmissions int
	State                                         string
}

// Options are the name=value words of a line.
type Options map[string]string

// Host finds a host by its name.
func (f *Flow) Host(name string) (*Host, bool) {
	for i := range f.Hosts {
		if f.Hosts[i].Name == name {
			return &f.Hosts[i], true
		}
	}
	return nil, false
}

// Aliases names the addresses of the hosts for ladders.
func (f *Flow) Aliases() map[string]string {
	all := make(map[string]string, len(f.Hosts))
	for i := range f.Hosts {
		h := &f.Hosts[i]
		name := h.Name
		if alias := h.Options["alias"]; alias != "" {
			name = alias
		}
		all[h.Addr.String()] = name
	}
	return all
}

// String is the step as a person says it.
func (s *Step) String() string { return fmt.Sprintf("%s -> %s %s", s.From, s.To, s.What) }

// Differs says what an analyzer counted otherwise; empty when nothing.
func (e *Expect) Differs(got Expect) string {
	var all []string
	for _, c := range [...]struct {
		name      string
		want, got int
	}{
		{"transactions", e.Transactions, got.Transactions},
		{"dialogs", e.Dialogs, got.Dialogs},
		{"early dialogs", e.Early, got.Early},
		{"retransmissions", e.Retransmissions, got.Retransmissions},
	} {
		if c.want >= 0 && c.want != c.got {
			all = append(all, fmt.Sprintf("%d %s, not %d", c.got, c.name, c.want))
		}
	}
	if e.State != "" && e.State != got.State {
		all = append(all, fmt.Sprintf("state %s, not %s", got.State, e.State))
	}
	return strings.Join(all, "; ")
}
