package flowtest

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sipscope/capture"
)

const prelude = `title T
host a 10.0.0.1 user=sip:a@x.com
host b 10.0.0.2 user=sip:b@x.com
host p 10.0.0.9 proxy
host v [2001:db8::1]:5070
call c from a to b callid=c@x
`

// parseText parses a flow named t.flow.
func parseText(t *testing.T, text string) *Flow {
	t.Helper()
	f, err := Parse("dir/t.flow", strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestFields(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		line string
		want []token
	}{
		{"", nil},
		{"  # nothing", nil},
		{"a  b\tc", []token{{"", "a", false}, {"", "b", false}, {"", "c", false}}},
		{"sip:a@b;x=1 k=v # c", []token{{"", "sip:a@b;x=1", false}, {"k", "v", false}}},
		{`name="Joe # \"P\"" b#c`, []token{{"name", `Joe # "P"`, true}, {"", "b#c", false}}},
		{`"Busy Here" header.X-Y="\x1b\xff"`, []token{{"", "Busy Here", true}, {"header.X-Y", "\x1b\xff", true}}},
		{`contact="<sip:a>";q=1`, []token{{"contact", "<sip:a>;q=1", true}}},
		{"k=", []token{{"k", "", false}}},
		{"a=b=c", []token{{"a", "b=c", false}}},
		{"=x", []token{{"", "=x", false}}},
		{`"k"=x`, []token{{"", "k=x", true}}},
	} {
		got, err := fields(tc.line)
		if err != nil {
			t.Errorf("%q: %v", tc.line, err)
		}
		if d := cmp.Diff(tc.want, got, cmp.AllowUnexported(token{})); d != "" {
			t.Errorf("%q (-want +got):\n%s", tc.line, d)
		}
	}
}

func TestParseSettings(t *testing.T) {
	t.Parallel()
	f := parseText(t, prelude+`
about one line, # and all of it
about another
start 2026-02-03T04:05:06.5Z
snaplen 96
resolution us
interface 1 vlan=7,8
expect methods INVITE=1
`)
	if f.Name != "t" || f.Title != "T" || f.FileName() != "t.pcapng" {
		t.Errorf("name %q, title %q, file %q", f.Name, f.Title, f.FileName())
	}
	if d := cmp.Diff([]string{"one line, # and all of it", "another"}, f.About); d != "" {
		t.Errorf("about (-want +got):\n%s", d)
	}
	if want := time.Date(2026, 2, 3, 4, 5, 6, 5e8, time.UTC); !f.start.Equal(want) {
		t.Errorf("start %v, want %v", f.start, want)
	}
	if f.snaplen != 96 || !f.micro || f.links[0].kind != capture.LinkEthernet || len(f.links[1].vlans) != 2 {
		t.Errorf("settings: %d %v %v", f.snaplen, f.micro, f.links)
	}
	if d := cmp.Diff([]Expectation{{"methods", 0, map[string]string{"INVITE": "1"}, 14}}, f.Expect); d != "" {
		t.Errorf("expect (-want +got):\n%s", d)
	}
}

func TestStepTimes(t *testing.T) {
	t.Parallel()
	f := parseText(t, prelude+"+1ms a > b INVITE\n+2ms b > a 100\n@1s b > a 200\n+1us a > b ACK\n")
	var got []time.Duration
	for _, s := range f.steps {
		got = append(got, s.at)
	}
	want := []time.Duration{time.Millisecond, 3 * time.Millisecond, time.Second, time.Second + time.Microsecond}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

func TestTextUntilWord(t *testing.T) {
	t.Parallel()
	f := parseText(t, prelude+"@0s a > b MESSAGE body=<<END\n  one\n    two # kept\n  END\n@1s a > b MESSAGE\n")
	if got := f.steps[0].text("body", ""); got != "one\r\n  two # kept\r\n" {
		t.Errorf("body %q", got)
	}
	if f.steps[1].line != 11 {
		t.Errorf("the step after the text is in line %d, want 11", f.steps[1].line)
	}
}

// Every mistake is told with file and line.
func TestParseMistakes(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ line, want string }{
		{"nonsense", "no statement"},
		{"k=v", "cannot begin"},
		{`"x" y`, "cannot begin"},
		{"title again", "second title"},
		{"about", "without text"},
		{`host q "10.0.0.1`, "quoted text does not end"},
		{"host q", "a name and an address"},
		{"host a 10.0.0.3", "new name"},
		{"host INVITE 10.0.0.3", "no method"},
		{"host q 10.0.0", "want 10.0.0.1"},
		{"host q fe80::1%eth0", "want 10.0.0.1"},
		{"host q 10.0.0.3:0", "want 10.0.0.1"},
		{"host q 10.0.0.3 fast", `no flag "fast"`},
		{"host q 10.0.0.3 colour=red", "no key colour"},
		{"host q 10.0.0.3 user=joe", "want a URI"},
		{"host q 10.0.0.3 rtp=70000", "1 to 65535"},
		{"host q 10.0.0.3 transport=sctp", "udp or tcp"},
		{"call d from a b", "want: call NAME"},
		{"call d from a to nobody", `no host "nobody"`},
		{"call d from nobody to a", `no host "nobody"`},
		{"call c from a to b", "second call"},
		{"call d from a to b x=1", "no key or flag"},
		{"start yesterday", "want a time"},
		{"start 1950-01-01T00:00:00Z", "want a time"},
		{"link token-ring", "link type"},
		{"link vlan=0", "1 to 4094"},
		{"link vlan=1,2,3", "one or two"},
		{"interface 9 raw", "0 to 3"},
		{"interface 1", "a number and a link type"},
		{"format text", "pcap or pcapng"},
		{"resolution s", "ns or us"},
		{"snaplen 0", "want a number"},
		{"snaplen 1 2", "one value"},
		{"+1 a > b INVITE", "time"},
		{"@-1s a > b INVITE", "time"},
		{"@48h a > b INVITE", "steps within"},
		{"+1s a b INVITE", "HOST > HOST"},
		{"+1s a > b", "HOST > HOST"},
		{"+1s x > b INVITE", `no host "x"`},
		{"+1s a > x INVITE", `no host "x"`},
		{"+1s a > a INVITE", "sends to itself"},
		{"+1s a > b invite", "no method, status code or verb"},
		{"+1s a > b 099", "no method, status code or verb"},
		{"+1s a > b 700", "no method, status code or verb"},
		{"+1s a > b INVITE fast", `no flag "fast"`},
		{"+1s a > b INVITE speed=1", "no key speed"},
		{"+1s a > b INVITE call=x", `no call "x"`},
		{"+1s a > b INVITE with=x", `no host "x"`},
		{"+1s a > b INVITE cseq=-1", "cseq=-1"},
		{"+1s a > b INVITE frag=7", "8 to 65535"},
		{"+1s a > b INVITE split=10,0", "1 to 65535"},
		{"+1s a > b INVITE dup=1h", "up to 1m"},
		{"+1s a > b INVITE iface=4", "0 to 3"},
		{"+1s a > b INVITE transport=tls", "udp or tcp"},
		{"+1s a > b MESSAGE body=<<END", "no line END"},
		{"+1s a > b MESSAGE body=<<", "needs a word"},
		{"+1s a > b bytes", "needs data"},
		{"+1s a > b connect slowly", "no flag"},
		{"+1s a > b connect body=x", "no key"},
		{"+1s rtp a <> b", "want: +TIME rtp"},
		{"+1s rtp a <> b G729 20ms x5", "PCMU or PCMA"},
		{"+1s rtp a <> b PCMU 2s x5", "1ms to 100ms"},
		{"+1s rtp a <> b PCMU 20ms 5", "x1 to"},
		{"+1s rtp a <> b PCMU 20ms x99999", "x1 to"},
		{"+1s rtp a:0 <> b PCMU 20ms x5", "port of a"},
		{"+1s rtp a <> a PCMU 20ms x5", "sends to itself"},
		{"+1s rtp a <> z PCMU 20ms x5", `no host "z"`},
		{"+1s rtp a <> b PCMU 20ms x5 body=x", "no key or flag"},
		{"expect", "want: expect"},
		{"expect miracles 1", "no kind"},
		{"expect messages many", "want a number"},
		{"expect messages 1 2", "want a number"},
		{"expect call 0 state=ringing", "want a number"},
		{"expect call 1", "nothing is expected"},
		{"expect call 1 colour=red", "no key colour"},
		{"expect call 1 code=1 code=2", "each name once"},
		{"expect methods INVITE=x", "want a number"},
	} {
		_, err := Parse("bad.flow", strings.NewReader(prelude+tc.line+"\n"))
		var e *Error
		if !errors.As(err, &e) || e.Line != 7 || !strings.HasPrefix(err.Error(), "bad.flow:7: ") ||
			!strings.Contains(err.Error(), tc.want) {
			t.Errorf("%q: got %v, want bad.flow:7: ... %s", tc.line, err, tc.want)
		}
	}
	if _, err := Parse("x", strings.NewReader("host a 10.0.0.1\n")); err == nil || !strings.Contains(err.Error(), "no title") {
		t.Errorf("a flow without title: %v", err)
	}
	if _, err := Parse("x", strings.NewReader("title T\nhost a 10.0.0.1\nhost b 10.0.0.2\n@0s a > b INVITE\n")); err == nil {
		t.Error("a message without a call was taken")
	}
}

// What the elements cannot do is told with file and line, too.
func TestPlayMistakes(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ lines, want string }{
		{"@0s b > a 200", "no request by a to answer"},
		{"@0s a > b ACK", "no dialog"},
		{"@0s a > b BYE", "no dialog"},
		{"@0s a > b CANCEL", "sent no INVITE"},
		{"@0s a > b INVITE retransmit", "sent no INVITE"},
		{"@0s p > b INVITE", "no INVITE to forward"},
		{"@0s a > p INVITE as=x\n@0s p > b INVITE of=y", "no INVITE to forward"},
		{"@0s a > b REGISTER auth", "no challenge"},
		{"@0s a > b INVITE sdp=G999", "no codec"},
		{"@0s a > b INVITE sdp=PCMU sdp.port=x", "sdp.port"},
		{"@0s a > v OPTIONS", "IPv4"},
		{"@0s a > v connect", "IPv4"},
		{"@0s a > b unreachable", "no whole IPv4 datagram"},
		{"@0s a > b INVITE\n@0s b > a 200\n@0s a > p BYE", "BYE goes to b by its Route or Request-URI, not to p"},
	} {
		_, err := parseText(t, prelude+tc.lines+"\n").Packets()
		var e *Error
		want := 7 + strings.Count(tc.lines, "\n")
		if !errors.As(err, &e) || e.Line != want || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%q: got %v, want line %d: ... %s", tc.lines, err, want, tc.want)
		}
	}
	big := prelude + "@0s a > b bytes data=\"" + strings.Repeat("x", 65508) + "\"\n"
	if _, err := parseText(t, big).Packets(); !errors.Is(err, errSize) {
		t.Errorf("a datagram of 65508 bytes: %v", err)
	}
	many := prelude + strings.Repeat("@0s rtp a <> b PCMU 20ms x5000\n", 11)
	if _, err := parseText(t, many).Packets(); !errors.Is(err, errFrames) {
		t.Errorf("110,000 frames: %v", err)
	}
}
