package html

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"sipscope/correlate"
	"sipscope/decode"
	"sipscope/decode/sip"
	"sipscope/render/ladder"
	"sipscope/render/text"
)

// Fact is one line of what is known of a call. Its texts are clean.
type Fact struct {
	Name, Value string
	Frame       uint64 // that it comes from, 0 for none (law 5)
}

// Title is a call's headline: "alice@a.example → bob@b.example".
func Title(s *correlate.Summary) string {
	to := party(&s.To)
	if s.Method == sip.MethodRegister.String() {
		return text.Clean(s.Method) + " " + to
	}
	return party(&s.From) + " → " + to
}

func party(p *correlate.Party) string {
	switch {
	case p.User != "" && p.Host != "":
		return text.Clean(p.User + "@" + p.Host)
	case p.User != "" || p.Host != "":
		return text.Clean(p.User + p.Host)
	case p.URI != "":
		return text.Clean(p.URI)
	default:
		return "?"
	}
}

func reason(status uint16) string { return sip.ReasonPhrase(int(status)) }

// facts gathers those that are known.
type facts struct {
	all []Fact
	w   *words
}

func (f *facts) add(name, value string, frame uint64) {
	if value != "" {
		f.all = append(f.all, Fact{Name: f.w.get("fact." + name), Value: text.Clean(value), Frame: frame})
	}
}

func (f *facts) count(name string, n uint32) {
	if n > 0 {
		f.add(name, strconv.FormatUint(uint64(n), 10), 0)
	}
}

func (f *facts) duration(name string, ns int64, frame uint64) {
	if ns >= 0 {
		f.add(name, ladder.Duration(ns), frame)
	}
}

// Facts lists what is known of a call, each with the frame that it comes from. title is the call's in its ladder.
func Facts(c *correlate.Call, title *ladder.Title) []Fact {
	f := facts{w: english()}
	state := strings.ReplaceAll(c.State.String(), "_", " ")
	if c.Code != 0 {
		state += fmt.Sprintf(" · %d %s", c.Code, c.Reason)
	}
	if c.Cause >= 0 {
		state += fmt.Sprintf(" · Q.850 cause %d", c.Cause)
	}
	f.add("state", state, c.Evidence.Final)
	f.add("method", c.Method, c.Evidence.Request)
	f.add("from", partyLong(&c.From), 0)
	f.add("to", partyLong(&c.To), 0)
	f.add("ruri", c.RURI, c.Evidence.Request)
	f.add("start", time.Unix(0, c.First).UTC().Format("2006-01-02 15:04:05.000000 UTC"), c.Evidence.Request)
	f.duration("pdd", c.PDD, c.Evidence.Ring)
	f.duration("setup", c.Setup, c.Evidence.Answer)
	f.duration("talk", c.Duration, c.Evidence.End)
	f.add("ended_by", title.EndedBy, endFrame(&c.Evidence))
	f.add("hop", hop(&c.Summary), 0)
	f.add("transports", transports(c.Transports), 0)
	f.add("messages", messages(&c.Summary), 0)
	f.count("gaps", c.Summary.Gaps)
	f.count("diags", c.Diags)
	f.add("user_agent", c.UserAgent, 0)
	f.add("server", c.Server, 0)
	f.registration(c.Registration)
	f.add("relation", title.Relation, 0)
	f.add("call_id", c.CallID, 0)
	return f.all
}

func endFrame(e *correlate.Evidence) uint64 {
	if e.End != 0 {
		return e.End
	}
	return e.Cancel
}

func partyLong(p *correlate.Party) string {
	if p.Display == "" {
		return p.URI
	}
	return strconv.Quote(p.Display) + " <" + p.URI + ">"
}

func hop(s *correlate.Summary) string {
	if !s.Src.IsValid() && !s.Dst.IsValid() {
		return ""
	}
	return s.Src.String() + " → " + s.Dst.String()
}

func transports(bits uint8) string {
	var names []string
	for t := decode.UDP; t <= decode.WSS; t++ {
		if bits&(1<<t) != 0 {
			names = append(names, t.String())
		}
	}
	return strings.Join(names, ", ")
}

func messages(s *correlate.Summary) string {
	b := strconv.AppendUint(nil, uint64(s.Messages), 10)
	for _, x := range []struct {
		n         uint32
		one, many string
	}{
		{s.Transactions, "transaction", "transactions"},
		{s.Dialogs, "dialog", "dialogs"},
		{s.EarlyDialogs, "early dialog", "early dialogs"},
		{s.Retransmissions, "retransmission", "retransmissions"},
		{s.Duplicates, "tap duplicate", "tap duplicates"},
	} {
		if x.n == 0 {
			continue
		}
		b = fmt.Appendf(b, " · %d ", x.n)
		if x.n == 1 {
			b = append(b, x.one...)
		} else {
			b = append(b, x.many...)
		}
	}
	return string(b)
}

func (f *facts) registration(r *correlate.Registration) {
	if r == nil {
		return
	}
	f.add("aor", r.AOR, 0)
	f.add("contact", r.Contact, 0)
	if r.Expires >= 0 {
		f.add("expires", strconv.FormatInt(r.Expires, 10)+" s", 0)
	}
	if r.Refreshes > 0 {
		f.add("refreshes", strconv.Itoa(r.Refreshes), 0)
	}
}
