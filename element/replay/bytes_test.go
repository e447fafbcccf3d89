package replay_test

import (
	"regexp"
	"strings"
	"testing"

	"sipscope/decode/sip"
	"sipscope/element/replay"
	"sipscope/element/replay/plan"
)

// identities are what a replay makes anew, as far as the textbook's flows have it.
var identities = []struct {
	find *regexp.Regexp
	with string
}{
	{regexp.MustCompile(`branch=[^;\r\n]*`), "branch=B"},
	{regexp.MustCompile(`(;rport=\d+)(;received=[^;\r\n]*)`), "$2$1"},
	{regexp.MustCompile(`tag=[^;\r\n]*`), "tag=T"},
	{regexp.MustCompile(`Call-ID: [^@\r\n]*`), "Call-ID: C"},
	{regexp.MustCompile(`nonce="[^"]*"`), `nonce="N"`},
	{regexp.MustCompile(`opaque="[^"]*"`), `opaque="O"`},
	{regexp.MustCompile(`(response|rspauth)="[^"]*"`), `$1="R"`},
	{regexp.MustCompile(`algorithm=[^,\r\n]*`), `algorithm=A`},
	{regexp.MustCompile(`o=- \d+ `), "o=- 1 "},
	{regexp.MustCompile(`Content-Length: \d+`), "Content-Length: L"},
	{regexp.MustCompile(`Date: [^\r\n]*`), "Date: D"},
	{regexp.MustCompile(`127\.0\.`), "127.9."},
	{regexp.MustCompile(`(sip:\d+\.9\.\d+\.\d+):5060`), "$1"},
	{regexp.MustCompile(`(@127\.9\.\d+\.\d+):5060`), "$1"},
}

func normalised(text string) string {
	for _, i := range identities {
		text = i.find.ReplaceAllString(text, i.with)
	}
	return text
}

// What a replay with all participants played sends is what was recorded, byte for byte, but for identities: also what
// transactions send by themselves, the ACK of a failure and the answer to a CANCEL.
func TestBytes(t *testing.T) {
	t.Parallel()
	names, err := textbook()
	if err != nil {
		t.Fatal(err)
	}
	compared := 0
	for _, name := range names {
		text := flowText(t, name)
		r := recorded(t, name, text)
		there := parsed(t, name, elsewhere(text))
		p, ok := planFor(t, r, there, "")
		if !ok {
			t.Fatal("no plan")
		}
		w := newWorld(t, p, there, func(o *replay.Options) { o.Credentials = accounts(there) })
		w.run(1)
		live := map[string]int{}
		for _, line := range w.wire.lines {
			head, raw, _ := strings.Cut(line, "\n")
			_, path, _ := strings.Cut(head, " ")
			live[path+"\n"+normalised(raw)]++
		}
		for i := range p.Steps {
			s := &p.Steps[i]
			var m sip.Message
			if s.Kind != plan.Send || sip.Parse(s.Message, &m) != nil {
				continue
			}
			from, _ := p.Host(s.From)
			to, _ := p.Host(s.To)
			key := elsewhere("UDP "+from.At[0].String()+" > "+to.At[0].String()) + "\n" + normalised(string(s.Message))
			compared++
			if live[key] == 0 {
				t.Errorf("%s: step %d was not sent as recorded:\n%s\nsent:\n%s", name, s.ID, key, likely(live, key))
			}
		}
	}
	if compared < 300 {
		t.Errorf("%d messages were compared", compared)
	}
}

// likely finds what was sent on the same path with the same first line.
func likely(live map[string]int, key string) string {
	first, _, _ := strings.Cut(key, "\r\n")
	var all []string
	for k := range live {
		if strings.HasPrefix(k, first) {
			all = append(all, k)
		}
	}
	return strings.Join(all, "\n...\n")
}
