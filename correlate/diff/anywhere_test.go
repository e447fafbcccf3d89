package diff_test

import (
	"bytes"
	"maps"
	"math/rand/v2"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"sipscope/correlate/diff"
)

// seed is a kind of difference that can be planted into many messages.
type seed struct {
	name     string
	recorded func(text string) string // what the message says on side A; "" where the kind does not fit
	live     func(text string) string // and on side B, of A's text
	where    string
	headline string
	verdict  diff.Verdict // Differs unless set
}

// headed adds a line to the head.
func headed(line string) func(string) string {
	return func(text string) string { return strings.Replace(text, "\r\n\r\n", "\r\n"+line+"\r\n\r\n", 1) }
}

// swapped replaces one text.
func swapped(old, fresh string) func(string) string {
	return func(text string) string { return strings.Replace(text, old, fresh, 1) }
}

// only gives the text when it matches.
func onlyIf(pattern string) func(string) string {
	re := regexp.MustCompile(pattern)
	return func(text string) string {
		if re.MatchString(text) {
			return text
		}
		return ""
	}
}

// both chains two steps.
func both(f, g func(string) string) func(string) string {
	return func(text string) string {
		if text = f(text); text != "" {
			text = g(text)
		}
		return text
	}
}

const (
	anyMessage = `(?s).`
	hasSDP     = `(?s)application/sdp.*\r\nm=audio [1-9]\d* RTP/AVP [^\r]*\r\n`
	ends       = `^(BYE|CANCEL|SIP/2\.0 [4-6])`
)

// seeds are kinds that no other test plants.
func seeds() []seed {
	firstAttribute := regexp.MustCompile(`(\r\nm=audio [^\r]*)`)
	attribute := func(line string) func(string) string {
		return func(text string) string { return firstAttribute.ReplaceAllString(text, "${1}\r\n"+line) }
	}
	audio := func(formats string) func(string) string {
		re := regexp.MustCompile(`(\r\nm=audio \d+ RTP/AVP )[^\r]*((?:\r\na=(?:rtpmap|fmtp)[^\r]*)*)`)
		return func(text string) string { return re.ReplaceAllString(text, "${1}"+formats) }
	}
	directed := func(direction string) func(string) string {
		re := regexp.MustCompile(`\r\na=(sendrecv|sendonly|recvonly|inactive)`)
		return func(text string) string { return re.ReplaceAllString(text, "") + "a=" + direction + "\r\n" }
	}
	phrase := func(text string) string {
		line, rest, _ := strings.Cut(text, "\r\n")
		return line[:min(len(line), 12)] + " As You Like It\r\n" + rest
	}
	reordered := func(text string) string {
		first, rest, _ := strings.Cut(text, "\r\n")
		head, body, _ := strings.Cut(rest, "\r\n\r\n")
		lines := strings.Split(head, "\r\n")
		slices.Reverse(lines)
		return first + "\r\n" + strings.Join(lines, "\r\n") + "\r\n\r\n" + body
	}
	flip := func(text string) string {
		at := strings.Index(text, "\r\n\r\n") + 4
		for i := at; i < len(text); i++ {
			if c := text[i]; c|0x20 >= 'g' && c|0x20 < 'z' {
				return text[:i] + string(c+1) + text[i+1:]
			}
		}
		return ""
	}
	const q850 = "Reason: Q.850;cause=16;text=\"Normal call clearing\""
	return []seed{
		{"a byte of the body", onlyIf(`(?s)Content-Type: (?:application/dtmf-relay|text/plain|application/pidf).*\r\n\r\n.*[g-y]`), flip, "body", "the body differs in 1 line", 0},
		{"Allow missing", both(onlyIf(anyMessage), headed("Allow: INVITE, ACK, BYE, CANCEL, OPTIONS")), swapped("Allow: INVITE, ACK, BYE, CANCEL, OPTIONS\r\n", ""), "Allow", "header Allow is missing", 0},
		{"a method less", both(onlyIf(anyMessage), headed("Allow: INVITE, ACK, BYE, UPDATE")), swapped(", UPDATE", ""), "Allow", "header Allow lacks UPDATE", 0},
		{"another cause", both(onlyIf(ends), headed(q850)), swapped("cause=16", "cause=31"), "Reason", "header Reason is", 0},
		{"another text of a cause", both(onlyIf(ends), headed(q850)), swapped("Normal call clearing", "Bye"), "Reason", "header Reason is", 0},
		{"no cause", both(onlyIf(ends), headed(q850)), swapped(q850+"\r\n", ""), "Reason", "header Reason is missing", 0},
		{"another phrase", onlyIf(`^SIP/2\.0 [1-6]`), phrase, "reason", "", diff.Tolerated},
		{"headers in another order", onlyIf(`^[A-Z/]`), func(text string) string {
			if strings.Count(text, "\r\nVia:") > 1 || strings.Count(text, "Route:") > 1 { // whose order matters
				return text
			}
			return reordered(text)
		}, "", "", diff.Same},
		{"ptime", both(onlyIf(hasSDP), attribute("a=ptime:20")), swapped("a=ptime:20", "a=ptime:40"), "SDP m0", "ptime 40, was 20", 0},
		{"maxptime", both(onlyIf(hasSDP), attribute("a=maxptime:60")), swapped("a=maxptime:60\r\n", ""), "SDP m0", "maxptime is missing, was 60", 0},
		{"direction", both(onlyIf(hasSDP), directed("sendrecv")), swapped("a=sendrecv", "a=recvonly"), "SDP m0", "direction recvonly, was sendrecv", 0},
		{"codec order", both(onlyIf(hasSDP), audio("0 8 18")), swapped("RTP/AVP 0 8 18", "RTP/AVP 18 8 0"), "SDP m0", "codec order G729, PCMA, PCMU, was PCMU, PCMA, G729", 0},
		{"a codec less", both(onlyIf(hasSDP), audio("0 8 18")), swapped("RTP/AVP 0 8 18", "RTP/AVP 0 8"), "SDP m0", "codec G729 is missing", 0},
		{"comfort noise", both(onlyIf(hasSDP), audio("0 13")), swapped("RTP/AVP 0 13", "RTP/AVP 0"), "SDP m0", "codec CN is missing", 0},
		{"an attribute", both(onlyIf(hasSDP), attribute("a=label:1")), swapped("a=label:1", "a=label:2"), "SDP m0", "a=label:2, was a=label:1", 0},
		{"a privacy", both(onlyIf(anyMessage), headed("Privacy: id")), swapped("Privacy: id", "Privacy: none"), "Privacy", "header Privacy is none, was id", 0},
		{"an identity", both(onlyIf(anyMessage), headed("P-Asserted-Identity: <tel:+4930123>")), swapped("+4930123", "+4930124"), "P-Asserted-Identity", "header P-Asserted-Identity is <tel:+4930124>", 0},
		{"a doubled value", both(onlyIf(anyMessage), headed("X-Two: a, b")), swapped("a, b", "a, b, b"), "X-Two", "header X-Two has b in addition", 0},
		{"a parameter's value", both(onlyIf(anyMessage), headed("Accept-Contact: *;audio;require")), swapped(";require", ";explicit"), "Accept-Contact", "header Accept-Contact is", 0},
		{"Retry-After", both(onlyIf(`^SIP/2\.0 [45]`), headed("Retry-After: 5")), swapped("Retry-After: 5", "Retry-After: 5000"), "Retry-After", "header Retry-After is 5000, was 5", 0},
		{"q of a contact", onlyIf(`(?s)^SIP/2\.0 3.*Contact:[^\r]*;q=0\.5`), swapped("q=0.5", "q=0.7"), "Contact", "header Contact is", 0},
		{"an RSeq", both(onlyIf(`^SIP/2\.0 18\d`), headed("Require: 100rel")), swapped("Require: 100rel\r\n", ""), "Require", "header Require is missing", 0},
		{"priority", both(onlyIf(`^(INVITE|MESSAGE)`), headed("Priority: normal")), swapped("Priority: normal", "Priority: emergency"), "Priority", "header Priority is emergency, was normal", 0},
	}
}

// One difference of any kind, in any message of any flow, among everything that differs anyway, is found, first, and alone.
func TestPlantedAnywhere(t *testing.T) {
	t.Parallel()
	all := flows(t)
	names := slices.Sorted(maps.Keys(all))
	archives := make([]archive, len(names))
	for i, name := range names {
		archives[i] = parsed(t, all[name])
	}
	for n, s := range seeds() {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			rng := rand.New(rand.NewPCG(17, uint64(n)))
			const pairs = 4
			planted := 0
			for range 40 * len(names) {
				i := rng.IntN(len(names))
				if s.plant(t, names[i], archives[i], rng) {
					if planted++; planted == pairs {
						return
					}
				}
			}
			if planted == 0 {
				t.Error("nowhere")
			}
		})
	}
}

// plant plants a difference into a message by chance, and reports whether it fits there.
func (s *seed) plant(t *testing.T, name string, base archive, rng *rand.Rand) bool {
	t.Helper()
	if len(base.calls) == 0 {
		return false
	}
	call := rng.IntN(len(base.calls))
	message := rng.IntN(len(base.calls[call].Messages))
	m := &base.calls[call].Messages[message]
	key := [2]uint64{m.Seq, uint64(m.Nth)}
	text := string(base.texts[key])
	if m.Repeats >= 0 || !strings.Contains(text, "\r\n\r\n") || len(text) > 4000 {
		return false
	}
	was := s.recorded(text)
	if was == "" {
		return false
	}
	is := s.live(was)
	if is == "" || is == was {
		return false
	}
	a, b := base.said(key, was), base.said(key, is).disguised(t)
	r := diff.Flows(a.flow("good"), b.flow("bad"), diff.Rules{})
	at := name + " message " + strconv.Itoa(message) + " of call " + strconv.Itoa(call)
	want := s.verdict
	if want == diff.Same && s.where != "" {
		want = diff.Differs
	}
	counted := 0
	for i := range r.Rows {
		row := &r.Rows[i]
		for k := range row.Differences {
			counted++
			if d := &row.Differences[k]; row.A != (diff.Ref{Call: call, Message: message}) || d.Where != s.where {
				t.Errorf("%s: false: %s", at, d.Text)
			}
		}
	}
	if r.Verdict != want || want != diff.Same && counted != 1 || !strings.HasPrefix(r.Headline, s.headline) {
		t.Errorf("%s: %s %q, want %s %q\n%s\n---\n%s%s", at, r.Verdict, r.Headline, want, s.headline, was, is, list(r))
	}
	return true
}

// said is an archive in which one message has another text.
func (a archive) said(key [2]uint64, text string) archive {
	out := archive{calls: a.calls, texts: maps.Clone(a.texts)}
	head, body, _ := strings.Cut(text, "\r\n\r\n")
	length := regexp.MustCompile(`(?i)(\r\nContent-Length: )\d+`)
	head = length.ReplaceAllString(head, "${1}"+strconv.Itoa(len(body)))
	out.texts[key] = bytes.Clone([]byte(head + "\r\n\r\n" + body))
	return out
}
