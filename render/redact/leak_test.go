package redact_test

import (
	"bytes"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"testing"

	"sipscope/correlate"
	"sipscope/render/redact"
)

// originalsOf finds what identifies people and machines with expressions of its own: the test must not trust the package.
var originalsOf = []*regexp.Regexp{
	regexp.MustCompile(`(?i)\bsips?:([^@<>;"\s]+)@`),
	regexp.MustCompile(`(?i)\bsips?:(?:[^@<>;"\s]+@)?([a-z0-9][a-z0-9.-]*\.[a-z0-9-]+)`),
	regexp.MustCompile(`(?i)\btel:([+0-9().-]+)`),
	regexp.MustCompile(`\b(\d{1,3}(?:\.\d{1,3}){3})\b`),
	regexp.MustCompile(`\[([0-9a-fA-F:.]+:[0-9a-fA-F:.]*)\]`),
	regexp.MustCompile(`IN IP6 ([0-9a-fA-F:.]+)`),
	regexp.MustCompile(`(?mi)^(?:from|to|f|t|contact|m|p-asserted-identity|remote-party-id):\s*"([^"\r\n]+)"`),
	regexp.MustCompile(`(?mi)^(?:from|to|f|t|contact|m):[ \t]*([^"<:;,\r\n]+?)[ \t]*<`),
	regexp.MustCompile(`(?i);[ \t]*tag=([^;,>\s"]+)`),
	regexp.MustCompile(`(?mi)^(?:call-id|i)[ \t]*:[ \t]*(\S+)`),
	regexp.MustCompile(`(?mi)^(?:call-id|i)[ \t]*:[ \t]*([^@\s]+)@`),
	regexp.MustCompile(`(?i);[ \t]*branch=z9hG4bK([^;,>\s"]+)`),
	regexp.MustCompile(`(?i)\b(?:username|realm|nonce|cnonce|opaque|response)="([^"]+)"`),
	regexp.MustCompile(`(?mi)^(?:user-agent|server|subject|organization|s):[ \t]*([^\r\n]+?)[ \t]*\r?$`),
	regexp.MustCompile(`(?m)^o=(\S+) (\S+)`),
	regexp.MustCompile(`(?m)^a=ice-(?:ufrag|pwd):(\S+)`),
	regexp.MustCompile(`(?m)^a=fingerprint:\S+ (\S+)`),
	regexp.MustCompile(`inline:([^|\s]+)`),
	regexp.MustCompile(`cname:(\S+)`),
}

// plain has the words of SIP that people and machines are called by in the captures.
var plain = words(`sip from to contact via invite register options message call phone user anonymous session subject
	registration answered busy here ringing ok not found trying proxy server client info audio video data
	cancel cancelled decline declined terminated moved temporarily caller callee answered completed pending succeeded registered pcmu pcma g722 redacted invalid digest uri asterisk-free auth md5 transaction dialog event presence conference tel local remote
	application text html session gateway service line mobile record route`)

func words(s string) map[string]bool {
	out := map[string]bool{}
	for w := range strings.FieldsSeq(s) {
		out[w] = true
	}
	return out
}

var notAlnum = regexp.MustCompile(`[^a-z0-9\x80-\xff]+`)

// counts reports whether an original of the captures must be found nowhere.
func counts(original string) bool {
	if len(original) < 4 {
		return false
	}
	digits := 0
	for _, w := range notAlnum.Split(original, -1) {
		if w == "" || plain[w] {
			continue
		}
		if strings.Trim(w, "0123456789") != "" {
			return true
		}
		digits += len(w)
	}
	return digits > 6 || strings.Count(original, ".") == 3 && original != "0.0.0.0"
}

// leaked gives the first original that stands in text, whatever the case.
func leaked(originals []string, text []byte) string {
	lower := strings.ToLower(string(text))
	for _, o := range originals {
		for from := 0; ; {
			i := strings.Index(lower[from:], o)
			if i < 0 {
				break
			}
			at, end := from+i, from+i+len(o)
			for at > 0 && isWord(lower[at-1]) {
				at--
			}
			for end < len(lower) && isWord(lower[end]) {
				end++
			}
			if !plain[lower[at:end]] {
				return o
			}
			from = from + i + 1
		}
	}
	return ""
}

func isWord(c byte) bool { return c >= 'a' && c <= 'z' || c >= '0' && c <= '9' }

// originals collects those of a capture.
func (c *corpus) originals() []string {
	seen := map[string]bool{}
	add := func(s string) {
		if s = strings.ToLower(s); counts(s) {
			seen[s] = true
		}
	}
	for i := range c.calls {
		for j := range c.calls[i].Messages {
			add(c.calls[i].Messages[j].Src.Host())
			add(c.calls[i].Messages[j].Dst.Host())
			for _, re := range originalsOf {
				for _, m := range re.FindAllSubmatch(c.texts[i][j], -1) {
					for _, group := range m[1:] {
						add(string(group))
					}
				}
			}
		}
	}
	out := make([]string, 0, len(seen))
	for s := range seen {
		out = append(out, s)
	}
	return out
}

// TestLeaks looks for the originals of each capture in everything that is made of it.
func TestLeaks(t *testing.T) {
	t.Parallel()
	captures(t, func(t *testing.T, c *corpus) {
		t.Helper()
		originals := c.originals()
		red := c.redacted(c.redactor())
		var f redact.Framer
		for i := range red.calls {
			if o := leaked(originals, dump(red.calls[i])); o != "" {
				t.Errorf("%q stands in call %+v", o, red.calls[i])
			}
			for j, text := range red.texts[i] {
				if o := leaked(originals, text); o != "" {
					t.Errorf("%q stands in\n%s\nfrom\n%s", o, text, c.texts[i][j])
				}
				frames, err := f.Frames(&red.calls[i].Messages[j], text)
				if err != nil {
					t.Fatal(err)
				}
				for _, e := range [...]string{c.calls[i].Messages[j].Src.Host(), c.calls[i].Messages[j].Dst.Host()} {
					for _, b := range frames {
						if bytes.Contains(b[:54], addressBytes(t, e)) {
							t.Errorf("%s stands in a frame's headers", e)
						}
					}
				}
			}
		}
	})
}

// dump writes all that a call has, without the names of fields and without times, which are also in ids.
func dump(c correlate.Call) []byte {
	c.First, c.Last = 0, 0
	c.Messages = slices.Clone(c.Messages)
	for i := range c.Messages {
		c.Messages[i].Time = 0
	}
	out := fmt.Appendf(nil, "%v", c)
	if c.Registration != nil {
		out = fmt.Appendf(out, "%v", *c.Registration)
	}
	return out
}

// technicalNumbers are where a number of four to six digits is no name.
var technicalNumbers = regexp.MustCompile(`(?mi)^(?:cseq|rack|rseq|content-length|l|expires|min-expires|session-expires|` +
	`x|min-se|max-forwards|timestamp|date|retry-after|subscription-state|o|v|t|b|m|a)[ \t]*[:=].*$|:\d{1,5}\b|` +
	`rport=\d+|expires=\d+|q=[0-9.]+`)

var extensions = regexp.MustCompile(`(?i)\bsips?:(\d{4,6})@`)

// TestExtensions: a user of four to six digits is found in no place of a name.
func TestExtensions(t *testing.T) {
	t.Parallel()
	captures(t, func(t *testing.T, c *corpus) {
		t.Helper()
		users := map[string]bool{}
		for i := range c.texts {
			for _, text := range c.texts[i] {
				for _, m := range extensions.FindAllSubmatch(text, -1) {
					users[string(m[1])] = true
				}
			}
		}
		if len(users) == 0 {
			return
		}
		number := regexp.MustCompile(`[0-9]+`)
		for i, texts := range c.redacted(c.redactor()).texts {
			for j, text := range texts {
				for _, n := range number.FindAllString(technicalNumbers.ReplaceAllString(string(text), ""), -1) {
					if users[n] {
						t.Errorf("%s stands in\n%s\nfrom\n%s", n, text, c.texts[i][j])
					}
				}
			}
		}
	})
}

func addressBytes(t *testing.T, host string) []byte {
	t.Helper()
	a, err := netip.ParseAddr(host)
	if err != nil {
		t.Fatal(err)
	}
	return a.AsSlice()
}
