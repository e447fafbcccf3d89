package sipp

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"sipscope/correlate"
	"sipscope/decode/frame"
	"sipscope/decode/sip"
)

// wellFormed checks that a reader of XML takes a scenario, and that SIPp's own reader, which knows less, finds the same
// elements.
func wellFormed(tb testing.TB, text []byte) {
	tb.Helper()
	if len(text) > MaxXML {
		tb.Fatalf("%d bytes of XML", len(text))
	}
	d := xml.NewDecoder(bytes.NewReader(text))
	for {
		_, err := d.Token()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			tb.Fatalf("%v in\n%s", err, text)
		}
	}
}

// sections gives the messages of a scenario as SIPp takes them out of it: without the escapes of keywords.
func sections(tb testing.TB, text []byte) []string {
	tb.Helper()
	var all []string
	rest := string(text)
	for {
		_, after, ok := strings.Cut(rest, "<![CDATA[")
		if !ok {
			return all
		}
		section, after, ok := strings.Cut(after, "]]>")
		if !ok {
			tb.Fatal("a section does not end")
		}
		all = append(all, section)
		rest = after
	}
}

// asSIPp makes of a section what SIPp 3.6 sends: it takes away blanks and line ends at the ends of the section and of its
// lines, reads \xHH, and makes CRLF of line ends. Keywords stay.
func asSIPp(section string) string {
	s := strings.TrimLeft(section, " \t\n")
	trimmed := strings.TrimRight(s, " \t\n")
	removed := strings.Count(s[len(trimmed):], "\n")
	s = trimmed
	for _, pair := range [][2]string{{"\n ", "\n"}, {" \n", "\n"}, {"\n\t", "\n"}, {"\t\n", "\n"}} {
		for strings.Contains(s, pair[0]) {
			s = strings.Replace(s, pair[0], pair[1], 1)
		}
	}
	if !strings.Contains(s, "\n\n") {
		s += "\n\n"
	}
	if !strings.HasSuffix(s, "\n") && removed > 0 {
		s += "\n"
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch {
		case strings.HasPrefix(s[i:], `\x`) && i+3 < len(s):
			n, err := strconv.ParseUint(s[i+2:i+4], 16, 8)
			if err != nil {
				return "bad escape: " + s
			}
			b.WriteByte(byte(n))
			i += 3
		case s[i] == '\n':
			b.WriteString("\r\n")
		default:
			b.WriteByte(s[i])
		}
	}
	return b.String()
}

// All calls of the project's captures, with every hop, are well-formed scenarios.
func TestAllCaptures(t *testing.T) {
	t.Parallel()
	paths, err := filepath.Glob(project("*.pcap*"))
	if err != nil || len(paths) < 50 {
		t.Fatalf("%d captures, %v", len(paths), err)
	}
	for _, path := range paths {
		t.Run(filepath.Base(path), func(t *testing.T) {
			t.Parallel()
			a := read(t, path)
			for i := range a.calls {
				checkHops(t, a, i)
			}
		})
	}
}

// checkHops builds a call in all ways.
func checkHops(t *testing.T, a *archive, call int) {
	t.Helper()
	hops := 1
	for hop := 0; hop <= hops; hop++ {
		for _, fast := range []bool{false, true} {
			pair, err := Build(&a.calls[call], a.text(call), Options{Name: "call", Hop: hop, Fast: fast, Media: a.media(t, call)})
			if errors.Is(err, ErrNoRequest) {
				continue
			}
			if err != nil {
				t.Fatalf("call %d, hop %d: %v", call+1, hop, err)
			}
			hops = len(pair.Hops)
			wellFormed(t, pair.UAC.XML)
			wellFormed(t, pair.UAS.XML)
			if hop > 0 && pair.Apart != "" && !strings.HasPrefix(pair.Apart, "SIPp cannot read") {
				t.Errorf("call %d, both sides of hop %d: %s", call+1, hop, pair.Apart)
			}
		}
	}
}

// What an INVITE of others says is sent as it was, but for what SIPp makes itself.
func TestByteForByte(t *testing.T) {
	t.Parallel()
	a := read(t, project("hostile-names.pcap"))
	for i := range a.calls {
		pair, err := Build(&a.calls[i], a.text(i), Options{Name: "call"})
		if err != nil {
			t.Fatal(err)
		}
		sent := asSIPp(sections(t, pair.UAC.XML)[0])
		raw := string(a.text(i)(0))
		for line := range strings.SplitSeq(raw, "\r\n") {
			name, _, _ := strings.Cut(line, ":")
			switch sip.LookupHeader([]byte(strings.TrimSpace(name))) {
			case sip.HeaderVia, sip.HeaderFrom, sip.HeaderContact, sip.HeaderCallID, sip.HeaderContentLength, sip.HeaderTo:
				continue
			default:
			}
			if strings.HasPrefix(line, "INVITE") || strings.HasPrefix(line, "c=") || strings.HasPrefix(line, "o=") || strings.HasPrefix(line, "m=") {
				continue
			}
			if !strings.Contains(sent, line+"\r\n") {
				t.Errorf("call %d: %q is not in\n%q", i+1, line, sent)
			}
		}
	}
}

// The bytes of any message come out of SIPp as they went in.
func TestRender(t *testing.T) {
	t.Parallel()
	for _, raw := range []string{
		"BYE sip:a SIP/2.0\r\nTo: x\r\n\r\n",
		"BYE sip:a SIP/2.0\r\nTo: x\r\n folded\r\n\tand again \r\nX:\r\n\r\n",
		"BYE sip:a SIP/2.0\r\nX: [local_ip] \\x41 \\ ]]> <&>\r\n\r\n",
		"BYE sip:a SIP/2.0\r\nX: \"open [x\r\n\r\n",
		"BYE sip:a SIP/2.0\r\nX: \x00\x01\x7f\xff\xc3\xa9\u202e\r\n\r\nbody",
		"BYE sip:a SIP/2.0\r\nTo: x\r\n\r\nbody\r\n",
		"BYE sip:a SIP/2.0\r\nTo: x\r\n\r\n  body \r\n\r\n",
		"BYE sip:a SIP/2.0\r\nTo: x\r\n\r\n\r\n",
		"BYE sip:a SIP/2.0\r\nTo: x\r\n\r\n\r\n\r\n",
		"BYE sip:a SIP/2.0\r\nTo: x\r\n\r\na\nb\rc\r\n\r\n\r\nd\t",
	} {
		if got := roundTrip(raw); got != raw {
			t.Errorf("got  %q\nwant %q", got, raw)
		}
	}
}

func roundTrip(raw string) string {
	var m sip.Message
	if err := sip.Parse([]byte(raw), &m); err != nil {
		return err.Error()
	}
	section := "\n" + render(m.Raw, int(m.Head), nil, false)
	if strings.HasSuffix(section, "\n") {
		section += "    "
	}
	if strings.Contains(section, "]]>") || strings.Contains(section, "[") {
		return "not escaped: " + section
	}
	return asSIPp(section)
}

func FuzzRender(f *testing.F) {
	f.Add("BYE sip:a SIP/2.0\r\nTo: [x]\r\n\r\n]]>\r\n\r\n")
	f.Add("SIP/2.0 200 \\x41 \r\nTo: x\r\n \t\r\n\r\n\r\n")
	f.Fuzz(func(t *testing.T, raw string) {
		var m sip.Message
		if sip.Parse([]byte(raw), &m) != nil || !bytes.HasSuffix(m.Raw[:m.Head], []byte("\r\n\r\n")) {
			return
		}
		raw = string(m.Raw)
		wellFormed(t, []byte("<s><![CDATA["+render(m.Raw, int(m.Head), nil, false)+"]]></s>"))
		if got := roundTrip(raw); got != raw {
			t.Errorf("got  %q\nwant %q", got, raw)
		}
	})
}

// hostile is a call whose texts are somebody else's.
func hostile(tb testing.TB, a *archive, replace func(message int, raw []byte) []byte) (*Pair, error) {
	tb.Helper()
	text := a.text(0)
	return Build(&a.calls[0], func(m int) []byte { return replace(m, text(m)) }, Options{Name: "call", Source: "<!-- ]]> -- --"})
}

// FuzzBuild puts bytes of somebody else's into every message of a call with a challenge, PRACK and routes.
func FuzzBuild(f *testing.F) {
	var all []*archive
	for _, name := range []string{"invite-407-auth.pcap", "prack-update.pcap", "bye-record-route.pcap", "register-auth.pcap"} {
		all = append(all, read(f, project(name)))
	}
	f.Add(uint8(0), uint16(100), []byte("]]><a>[x]\x00\\x5B--"))
	f.Add(uint8(1), uint16(40), []byte("\r\nRAck: 1 1 INVITE\r\nProxy-Authenticate: Digest realm=\"[\", nonce=\"\"\r\n"))
	f.Fuzz(func(t *testing.T, which uint8, at uint16, with []byte) {
		a := all[int(which)%len(all)]
		pair, err := hostile(t, a, func(_ int, raw []byte) []byte {
			i := int(at) % len(raw)
			return append(append(bytes.Clone(raw[:i]), with...), raw[i:]...)
		})
		if err != nil {
			return
		}
		for _, s := range []*Scenario{&pair.UAC, &pair.UAS} {
			wellFormed(t, s.XML)
			onlyOurKeywords(t, s.XML)
			for _, n := range s.Notes {
				if strings.ContainsAny(n, "\r\n\x1b\x00") {
					t.Errorf("note %q", n)
				}
			}
		}
	})
}

// onlyOurKeywords checks that whatever stands in brackets is a keyword that this package writes: SIPp ends when it finds
// another.
func onlyOurKeywords(tb testing.TB, text []byte) {
	tb.Helper()
	for _, s := range sections(tb, text) {
		for {
			_, after, ok := strings.Cut(s, "[")
			if !ok {
				break
			}
			word, rest, ok := strings.Cut(after, "]")
			if !ok || !ours[strings.TrimRight(word, "0123456789+-")] && !strings.HasPrefix(word, "$") && !strings.HasPrefix(word, "authentication username=\"") {
				tb.Fatalf("keyword [%s] in\n%s", word, s)
			}
			s = rest
		}
	}
}

// ours lists the keywords.
var ours = map[string]bool{
	"transport": true, "local_ip": true, "local_port": true, "remote_ip": true, "remote_port": true, "branch": true,
	"call_id": true, "call_number": true, "pid": true, "len": true, "routes": true, "next_url": true, "peer_tag_param": true,
	"media_ip": true, "media_ip_type": true, "auto_media_port": true, "authentication": true, "last_cseq_number": true,
	"last_Via:": true, "last_From:": true, "last_To:": true, "last_Call-ID:": true, "last_CSeq:": true,
	"last_Record-Route:": true, "last_Timestamp:": true, "last_Contact:": true,
}

const goldens = "testdata"

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join(goldens, name)
	if os.Getenv("UPDATE_GOLDEN") != "" {
		if err := os.MkdirAll(goldens, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v (UPDATE_GOLDEN=1 writes it)", err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s (-want +got, UPDATE_GOLDEN=1 writes it):\n%s", path, gocmp.Diff(string(want), string(got)))
	}
}

func TestGoldens(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, capture string
		hop           int
	}{
		{"invite", "scenario-invite.pcapng", 0},
		{"proxy-auth", "scenario-invite-proxy-auth.pcapng", 0},
		{"proxy-auth-hop1", "scenario-invite-proxy-auth.pcapng", 1},
		{"routes", "scenario-bye-two-proxies.pcapng", 0},
		{"from-callee", "scenario-bye-from-callee.pcapng", 0},
		{"reliable", "scenario-invite-reliable.pcapng", 0},
		{"cancel", "scenario-cancel.pcapng", 0},
		{"cancel-race", "scenario-cancel-race.pcapng", 0},
		{"forked-hop1", "scenario-forked-200s.pcapng", 1},
		{"redirect", "scenario-redirect.pcapng", 0},
		{"register", "scenario-register.pcapng", 0},
		{"notify-first", "scenario-subscribe-notify-first.pcapng", 0},
		{"no-response", "scenario-invite-no-response.pcapng", 0},
		{"timer-c", "scenario-invite-timer-c.pcapng", 0},
		{"hold", "reinvite-hold.pcap", 0},
		{"refer", "refer-transfer.pcap", 0},
		{"media", "trapezoid-bye-direct.pcap", 0},
		{"ipv6", "ipv6.pcap", 0},
		{"publish", "publish.pcap", 0},
		{"tcp", "sip-tcp.pcap", 0},
		{"hostile", "hostile-names.pcap", 0},
		{"lf-only", "compact-lf-only.pcap", 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			a := read(t, project(tt.capture))
			pair, err := Build(&a.calls[0], a.text(0), Options{
				Name: tt.name, Source: tt.capture, Hop: tt.hop, Media: a.media(t, 0),
			})
			if err != nil {
				t.Fatal(err)
			}
			golden(t, tt.name+"-uac.xml", pair.UAC.XML)
			golden(t, tt.name+"-uas.xml", pair.UAS.XML)
		})
	}
}

func TestErrors(t *testing.T) {
	t.Parallel()
	a := read(t, project("message.pcap"))
	call := &a.calls[0]
	for _, tt := range []struct {
		name string
		text func(int) []byte
		o    Options
		want error
	}{
		{"no name", a.text(0), Options{}, ErrName},
		{"a name for a shell", a.text(0), Options{Name: "a;b"}, ErrName},
		{"a name for a folder", a.text(0), Options{Name: "a/b"}, ErrName},
		{"a name for a flag", a.text(0), Options{Name: "-sf"}, ErrName},
		{"no hop", a.text(0), Options{Name: "a", Hop: 99}, ErrHop},
		{"no hop below", a.text(0), Options{Name: "a", Hop: -1}, ErrHop},
		{"no text", func(int) []byte { return nil }, Options{Name: "a"}, ErrText},
		{"no SIP", func(int) []byte { return []byte("x") }, Options{Name: "a"}, sip.ErrNotSIP},
		{"too long", func(m int) []byte {
			return append(bytes.TrimSuffix(a.text(0)(m), []byte("\r\n")), fmt.Sprintf("X: %s\r\n\r\n", strings.Repeat("x", MaxXML))...)
		}, Options{Name: "a"}, ErrTooLong},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if _, err := Build(call, tt.text, tt.o); !errors.Is(err, tt.want) {
				t.Errorf("got %v, want %v", err, tt.want)
			}
		})
	}
	long := *call
	long.Messages = nil
	for range 20_000 {
		long.Messages = append(long.Messages, call.Messages[0], call.Messages[1])
	}
	if _, err := Build(&long, a.text(0), Options{Name: "a"}); !errors.Is(err, ErrTooLong) {
		t.Errorf("a call of 40,000 messages: %v", err)
	}
	var none correlate.Call
	if _, err := Build(&none, a.text(0), Options{Name: "a"}); !errors.Is(err, ErrNoRequest) {
		t.Errorf("a call without messages: %v", err)
	}
}

// What the other side cannot take is told, and a hop that has both sides is offered.
func TestApart(t *testing.T) {
	t.Parallel()
	for capture, want := range map[string]string{
		"scenario-invite-timer-c.pcapng": "the caller waits for 408 to INVITE, which does not come",
		"compact-lf-only.pcap":           "SIPp cannot read the line ends of frame 1",
		"scenario-trapezoid.pcapng":      "",
	} {
		a := read(t, project(capture))
		pair, err := Build(&a.calls[0], a.text(0), Options{Name: "a"})
		if err != nil || pair.Apart != want {
			t.Errorf("%s: got %q, want %q (%v)", capture, pair.Apart, want, err)
		}
	}
}

func TestUsername(t *testing.T) {
	t.Parallel()
	for user, want := range map[string]string{
		"alice":     "alice",
		"a b":       `a\\x20b`,
		`a"]b[c\`:   `a\\x22\\x5Db\\x5Bc\\x5C`,
		"alice@a.b": "alice@a.b",
	} {
		if got, ok := username([]byte(user)); got != want || !ok {
			t.Errorf("%q: got %q, want %q", user, got, want)
		}
	}
	if _, ok := username(bytes.Repeat([]byte("x"), 300)); ok {
		t.Error("SIPp ends at a keyword of more than 256 bytes")
	}
}

func BenchmarkBuild(b *testing.B) {
	a := read(b, project("scenario-bye-two-proxies.pcapng"))
	text := a.text(0)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Build(&a.calls[0], text, Options{Name: "a"}); err != nil {
			b.Fatal(err)
		}
	}
}

// Both ends may have one address: the port tells whose it is.
func TestOneAddress(t *testing.T) {
	t.Parallel()
	a := read(t, project("options.pcap"))
	call := a.calls[0]
	place := map[string]frame.Endpoint{}
	name := map[string]string{}
	at := func(e frame.Endpoint) frame.Endpoint {
		if _, ok := place[e.Host()]; !ok {
			port := uint16(5060 + 10*len(place))
			place[e.Host()] = frame.Endpoint4([]byte{127, 0, 0, 1}, port)
			name[e.Host()] = fmt.Sprintf("127.0.0.1:%d", port)
		}
		return place[e.Host()]
	}
	for i := range call.Messages {
		call.Messages[i].Src, call.Messages[i].Dst = at(call.Messages[i].Src), at(call.Messages[i].Dst)
	}
	for i := range call.Transactions {
		call.Transactions[i].Src, call.Transactions[i].Dst = at(call.Transactions[i].Src), at(call.Transactions[i].Dst)
	}
	text := func(m int) []byte {
		raw := string(a.text(0)(m))
		raw = strings.Replace(raw, "\r\n", "\r\nX-Both: <sip:me@127.0.0.1:5060>, <sip:you@127.0.0.1:5070>, <sip:else@127.0.0.1:99>\r\n", 1)
		return []byte(raw)
	}
	pair, err := Build(&call, text, Options{Name: "a"})
	if err != nil {
		t.Fatal(err)
	}
	const want = "X-Both: <sip:me@[local_ip]:[local_port]>, <sip:you@[remote_ip]:[remote_port]>, <sip:else@127.0.0.1:99>"
	if !strings.Contains(string(pair.UAC.XML), want) {
		t.Errorf("%s is not in\n%s", want, pair.UAC.XML)
	}
	if pair.UAC.Who != "127.0.0.1:5060" || pair.UAS.Who != "127.0.0.1:5070" {
		t.Errorf("%s calls %s", pair.UAC.Who, pair.UAS.Who)
	}
}
