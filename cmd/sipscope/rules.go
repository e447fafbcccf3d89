package main

import (
	"strings"
	"time"

	"github.com/spf13/pflag"

	"sipscope/correlate/diff"
)

// ruleFlags say which differences between two flows matter. They are shared by diff and replay: both embed them, add them
// with ruleFlags.flags, and read them with rules before anything is read or sent.
type ruleFlags struct {
	final       string
	provisional string
	ignore      []string
	spelling    bool
	late        float64
	lateMin     time.Duration
	strict      bool
	lenient     bool
}

// software lists headers that say what an implementation is and can, not what it does in this call (RFC 3261 20.5, 20.37,
// 20.35, 20.41). The user and the parameters of a Contact are its choice, too (8.1.1.8); where requests go is compared as
// the path that they take.
func software() []string {
	return []string{
		"Server", "User-Agent", "Organization", "Allow", "Allow-Events", "Supported", "Accept", "Accept-Encoding", "Accept-Language", "Contact",
	}
}

// flags adds them.
func (r *ruleFlags) flags(f *pflag.FlagSet) {
	f.StringVar(&r.final, "final", "code", "final responses must have the same code, the same class, or be any: code, class or any")
	f.StringVar(&r.provisional, "provisional", "any", "101 to 199 must have the same code, class (that there is one), or may be any or none: code, class or any")
	f.StringArrayVar(&r.ignore, "ignore", nil,
		"header whose differences do not count; also sdp, body, transport, request-uri (repeatable, or separated by commas)")
	f.BoolVar(&r.spelling, "spelling", false, "differences of spelling and order count, too")
	f.Float64Var(&r.late, "late", 4, "a response that takes so many times as long is late; 0: never")
	f.DurationVar(&r.lateMin, "late-min", 500*time.Millisecond, "and only when it takes so much longer")
	f.BoolVar(&r.lenient, "lenient", false, "the sides may be different software: what it is and can (Server, Allow, Supported, Contact, ...) does not count")
	f.BoolVar(&r.strict, "strict", false, "tolerated differences count, too")
}

// rules checks and reads them.
func (r *ruleFlags) rules() (diff.Rules, error) {
	out := diff.Rules{Spelling: r.spelling, Strict: r.strict, Late: r.late, LateMin: r.lateMin}
	finals := map[string]diff.StatusMatch{"code": diff.MatchCode, "class": diff.MatchClass, "any": diff.MatchAnyFinal}
	provisionals := map[string]diff.StatusMatch{"code": diff.MatchCode, "class": diff.MatchClass, "any": diff.MatchNone}
	var known bool
	if out.Final, known = finals[r.final]; !known {
		return out, oneOf("--final", r.final, "code", "class", "any")
	}
	if out.Provisional, known = provisionals[r.provisional]; !known {
		return out, oneOf("--provisional", r.provisional, "code", "class", "any")
	}
	switch {
	case !(r.late >= 0 && r.late <= 1e6): // NaN fits nothing
		return out, usagef("it is a factor, such as 4; 0 turns it off", "--late %v is no factor", r.late)
	case r.late == 0:
		out.Late = -1 // a Rules takes 0 for its default
	}
	switch {
	case r.lateMin < 0:
		return out, usagef("it is a time, such as 500ms", "--late-min %v is negative", r.lateMin)
	case r.lateMin == 0:
		out.LateMin = 1 // likewise
	}
	if r.lenient && r.strict {
		return out, usagef("take one of them", "--lenient and --strict together")
	}
	if r.lenient {
		out.Ignore = append(out.Ignore, software()...)
	}
	for _, list := range r.ignore {
		for name := range strings.SplitSeq(list, ",") {
			if name = strings.TrimSpace(name); name == "" || strings.ContainsAny(name, " \t:") {
				return out, usagef("try: --ignore Server,X-Trace", "--ignore %q is no header name", list)
			}
			out.Ignore = append(out.Ignore, name)
		}
	}
	return out, nil
}
