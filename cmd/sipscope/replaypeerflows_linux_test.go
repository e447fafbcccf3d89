package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// throughFlow is a flow whose sides talk through Kamailio.
type throughFlow struct {
	name   string
	protos string // udp, tcp, udp6, tcp6
	users  string // who needs credentials
	more   string // flags of the replay
	flow   func(t *testing.T, c *cast)
}

// cast are those who take part in a flow through Kamailio.
type cast struct {
	k      *kamailio
	proto  string
	places []string
	taken  int
}

// newCast takes addresses for n agents.
func newCast(t *testing.T, k *kamailio, proto string, n int) *cast {
	t.Helper()
	c := &cast{k: k, proto: proto}
	for range n {
		c.places = append(c.places, sippPlace(t, proto))
	}
	return c
}

// filter is for what they say and hear.
func (c *cast) filter() string {
	if strings.HasSuffix(c.proto, "6") { // there is one address, and the port of who connects is not known before
		return c.proto[:3] + " and (port " + c.k.port6 + " or " + hosts(c.places...) + ")"
	}
	return hosts(c.places...)
}

// place takes one of the addresses.
func (c *cast) place() string {
	c.taken++
	return c.places[c.taken-1]
}

// bound are the flags that give everybody an address for the replay.
func (c *cast) bound(t *testing.T) []string {
	t.Helper()
	var args []string
	for i, place := range c.places[:c.taken] {
		if host, _ := splitPlace(place); !strings.Contains(host, ":") { // IPv6 has one loopback address
			name := "p" + strconv.Itoa(i)
			args = append(args, "--alias", host+"="+name, "--bind", name+"="+sippPlace(t, c.proto))
		}
	}
	return args
}

// agent starts one of ours.
func (c *cast) agent(t *testing.T, user string, args ...string) *peer {
	t.Helper()
	return runAgent(t, append(args, "--listen", c.proto[:3]+":"+c.place(), "--from", "sip:"+user+"@k.test", "--host", "k.test="+c.k.host)...)
}

// answering starts one that registers and answers.
func (c *cast) answering(t *testing.T, user string, args ...string) *peer {
	t.Helper()
	p := c.agent(t, user, append([]string{"answer", "--registrar", c.k.uri("", c.proto), "--media", "none"}, args...)...)
	p.tells("registered", 1)
	return p
}

// calling starts one that calls.
func (c *cast) calling(t *testing.T, from, to string, args ...string) *peer {
	t.Helper()
	return c.agent(t, from, append([]string{"call", c.k.uri(to, c.proto), "--media", "none"}, args...)...)
}

// gone ends one that is registered.
func gone(all ...*peer) {
	for _, p := range all {
		p.t.Helper()
		p.stop(syscall.SIGTERM, 0)
	}
}

// sippAnswers starts a SIPp that is called, and registers it.
func (c *cast) sippAnswers(t *testing.T, user, scenario string) *sippPeer {
	t.Helper()
	s := sippServer(t, c.proto[:3], c.place(), scenario)
	c.agent(t, user, "register", "sip:"+user+"@k.test", "--registrar", c.k.uri("", c.proto), "--once", "--contact",
		"sip:"+user+"@"+s.at+";transport="+c.proto[:3]).end(0)
	return s
}

// sippCalls has a SIPp call.
func (c *cast) sippCalls(t *testing.T, user, scenario string) {
	t.Helper()
	to := c.k.host + ":5060"
	if strings.HasSuffix(c.proto, "6") {
		to = "[::1]:" + c.k.port6
	}
	sipp(t, c.place(), scenario, append(sippMode(c.proto), "-m", "1", "-s", user, to)...).placed(1)
}

// throughFlows are what TestReplayThrough records and replays.
func throughFlows() []throughFlow {
	return []throughFlow{
		{"held", "udp tcp udp6 tcp6", "auth bob", "", func(t *testing.T, c *cast) {
			t.Helper()
			bob := c.answering(t, "bob"+c.proto, "--delay", "150ms")
			c.calling(t, "auth", "bob"+c.proto, "--talk", "1s", "--hold", "200ms", "--resume", "400ms").end(0)
			gone(bob)
		}},
		{"features", "udp", "auth dave carol", "", func(t *testing.T, c *cast) {
			t.Helper()
			dave := c.answering(t, "dave", "--reliably", "--early-media", "--delay", "200ms", "--refer")
			c.proto = "tcp" // carol alone
			carol := c.answering(t, "carol", "--talk", "200ms", "--calls", "1")
			c.proto = "udp"
			c.calling(t, "auth", "dave", "--reliable", "required", "--session-expires", "90",
				"--refer", "sip:carol@k.test", "--talk", "1500ms").end(0)
			carol.end(0)
			dave.tells("ended", 2)
			gone(dave)
		}},
		{"cancelled", "udp tcp", "auth rings", "", func(t *testing.T, c *cast) {
			t.Helper()
			rings := c.answering(t, "rings"+c.proto, "--delay", "-1s")
			c.calling(t, "auth", "rings"+c.proto, "--ring", "300ms").end(1)
			gone(rings)
		}},
		{"busy", "udp", "auth busy", "--user alice=auth", func(t *testing.T, c *cast) {
			t.Helper()
			busy := c.answering(t, "busy", "--code", "486")
			c.calling(t, "alice", "busy").end(1)
			gone(busy)
		}},
		{"forked", "udp tcp", "auth fork", "", func(t *testing.T, c *cast) {
			t.Helper()
			one := c.answering(t, "fork"+c.proto, "--delay", "300ms")
			two := c.answering(t, "fork"+c.proto, "--delay", "-1s")
			c.calling(t, "alice", "fork"+c.proto, "--talk", "200ms").end(0)
			one.tells("ended", 1)
			two.tells("ended", 1)
			gone(one, two)
		}},
		{"media", "udp", "auth mia", "", func(t *testing.T, c *cast) {
			t.Helper()
			s := c.sippAnswers(t, "mia", "uas-dialog")
			c.calling(t, "auth", "mia", "--media", "tone", "--dtmf", "1#", "--talk", "800ms").end(0)
			s.served(1)
		}},
		{"message", "udp", "auth erin", "--user auth=alice", func(t *testing.T, c *cast) {
			t.Helper()
			erin := c.answering(t, "erin")
			c.agent(t, "auth", "message", c.k.uri("erin", c.proto), "lunch at one").end(0)
			gone(erin)
		}},
		{"alone", "udp tcp", "auth reg", "", func(t *testing.T, c *cast) {
			t.Helper()
			c.calling(t, "auth", "nobody").end(1)
			c.agent(t, "reg"+c.proto, "register", "sip:reg"+c.proto+"@k.test", "--registrar", c.k.uri("", c.proto), "--once").end(0)
			c.agent(t, "alice", "options", c.k.uri("", c.proto)).end(0)
		}},
		{"subscribed", "udp tcp", "sam", "", func(t *testing.T, c *cast) {
			t.Helper()
			s := c.sippAnswers(t, "sam"+c.proto, "uas-subscribe")
			c.agent(t, "alice", "subscribe", c.k.uri("sam"+c.proto, c.proto), "--fetch").end(0)
			s.served(1)
		}},
		{"sipp", "udp tcp", "sue", "", func(t *testing.T, c *cast) {
			t.Helper()
			s := c.sippAnswers(t, "sue"+c.proto, "uas-dialog")
			c.sippCalls(t, "sue"+c.proto, "uac-dialog")
			s.served(1)
		}},
	}
}

// Recordings of calls through Kamailio are replayed as all who talked to it, through another Kamailio.
func TestReplayThrough(t *testing.T) {
	t.Parallel()
	notUnderRace(t)
	all := inspect(t)
	recorded, live := newKamailio(t), newKamailio(t)
	for _, f := range throughFlows() {
		for _, proto := range fewer(strings.Fields(f.protos)...) {
			t.Run(f.name+"/"+proto, func(t *testing.T) {
				t.Parallel()
				c := newCast(t, recorded, proto, 4)
				recording := recordFlow(t, c.filter(), func() { f.flow(t, c) })
				was, is := recorded.host+":5060", live.host+":5060"
				if strings.HasSuffix(proto, "6") {
					was, is = "[::1]:"+recorded.port6, "[::1]:"+live.port6
				}
				args := []string{"--sut", "sip:" + is + ";transport=" + proto[:3], "--sut-is", was, "--cred", "k.test:auth:" + password}
				if proto == "tcp" { // from where the kernel has Kamailio connect to us
					args = append(args, "--allow", "127.0.0.1")
				}
				for user := range strings.FieldsSeq(f.users) {
					for _, name := range []string{user, user + proto} {
						args = append(args, "--cred", "k.test:"+name+":"+password)
					}
				}
				if proto == "udp" && f.name != "features" { // and among ourselves, Kamailio's challenges and all: both of one realm for some
					creds := []string{"--self", "--fast", "--media", "off"}
					for i, arg := range args {
						if arg == "--cred" {
							creds = append(creds, arg, args[i+1])
						}
					}
					replayFlow(t, recording, append(creds, c.bound(t)...)...).clean(all)
				}
				args = append(args, strings.Fields(f.more)...)
				r := replayFlow(t, recording, append(args, c.bound(t)...)...)
				r.clean(all)
				if f.name == "media" && !regexp.MustCompile(`RTP of step \d+: [3-9]\d packets sent`).MatchString(r.out.String()) {
					t.Errorf("no RTP: %s", tail(r.out.String(), 500))
				}
			})
		}
	}
}

// recordScenario records one of our scenarios on sockets. Its hosts are in a part of the network of their own, which
// replaces 127.0.
func recordScenario(t *testing.T, name string, net int) (recording string, place func(string) string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("../../element/scenario/flows", name+".flow"))
	if err != nil {
		t.Fatal(err)
	}
	// 127.0.2.10 is 127.71.net.80
	host := regexp.MustCompile(`127\.0\.(\d)\.(\d+)`)
	place = func(s string) string {
		return host.ReplaceAllStringFunc(s, func(s string) string {
			f := strings.Split(s, ".")
			last, _ := strconv.Atoi(f[3])
			nth, _ := strconv.Atoi(f[2])
			return fmt.Sprintf("127.71.%d.%d", net, 35*nth+last)
		})
	}
	file := filepath.Join(t.TempDir(), name+".flow")
	quick := regexp.MustCompile(`hangup=\d+s`).ReplaceAllString(place(string(text)), "hangup=300ms")
	if err = os.WriteFile(file, []byte(quick), 0o600); err != nil {
		t.Fatal(err)
	}
	return recordFlow(t, fmt.Sprintf("net 127.71.%d.0/24", net), func() { ours(t, "", "scenario", file).end(0) }), place
}

// Recordings of our scenarios on sockets are replayed as one side of a hop; the other one is a SIPp that does what the
// recording says.
func TestReplayScenarios(t *testing.T) {
	t.Parallel()
	notUnderRace(t)
	all := inspect(t)
	for i, tt := range []struct{ name, caller, callee, replay string }{
		{"invite-reliable", "127.0.1.10", "127.0.2.10", ""},
		{"transactions-busy", "127.0.1.10", "127.0.2.10", ""},
		{"transactions-cancel", "127.0.1.10", "127.0.2.10", ""},
		{"subscribe-notify-first", "127.0.1.10", "127.0.5.1", ""},
		{"redirect", "127.0.1.10", "127.0.4.1", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			recording, place := recordScenario(t, tt.name, 240+i)
			caller, callee := place(tt.caller), place(tt.callee)
			x := exportSIPP(t, recording, "--call", "1", "--hop", "1", "--fast")
			args := append(strings.Fields(tt.replay), "--alias", caller+"=calling", "--alias", callee+"=answering")

			at := replayNet.address(t) + ":5060"
			uas := x.start(t, "uas", at)
			uas.bound("udp", at)
			r := replayFlow(t, recording, append(args, "--sut", at, "--sut-is", "answering", "--as", "calling",
				"--bind", "calling="+replayNet.address(t)+":5060")...)
			r.clean(all)
			uas.served(1)

			we, they := replayNet.address(t)+":5060", replayNet.address(t)+":5060"
			r = replayFlow(t, recording, append(args, "--sut", they, "--sut-is", "calling", "--as", "answering",
				"--bind", "answering="+we)...)
			r.bound("udp", we)
			x.start(t, "uac", they, "-m", "1", we).placed(1)
			r.clean(all)
		})
	}
}

// Our scenarios are replayed through Kamailio, which is another proxy and registrar than the recorded one, for other users.
func TestReplayScenariosThrough(t *testing.T) {
	t.Parallel()
	notUnderRace(t)
	all := inspect(t)
	k := newKamailio(t)
	for i, tt := range []struct{ name, live, replay string }{
		{"bye-record-route", "127.0.1.1", "--domain b.com=k.test --cred k.test:bob:secret --ignore Record-Route,Route,Max-Breadth"},
		{"registrar-contacts", "127.0.3.1", "--domain iptel.org=k.test --user jan=jon --cred k.test:jon:secret"},
		{"register", "127.0.3.1", "--domain iptel.org=k.test --cred k.test:jan:secret --ignore WWW-Authenticate"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			recording, place := recordScenario(t, tt.name, 250+i)
			replayFlow(t, recording, append(strings.Fields(tt.replay), "--sut", k.host, "--sut-is", place(tt.live))...).clean(all)
		})
	}
}
