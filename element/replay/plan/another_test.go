package plan_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"sipscope/element/replay/plan"
)

// Places of datagrams: an agent that registers others, a proxy, bob's phone, and carol, who sends from another port than the
// one that she calls hers.
const (
	agentAt = 0x00 // 127.0.0.1:5060
	proxyAt = 0x10 // 127.0.0.2:5060
	bobAt   = 0x20 // 127.0.0.3:5060
	carolAt = 0x31 // 127.0.0.4:5061
)

// said is a message from one place to another.
func said(from, to byte, format string, args ...any) []byte {
	text := strings.ReplaceAll(strings.TrimSpace(fmt.Sprintf(format, args...)), "\n", "\r\n") + "\r\n\r\n"
	return append([]byte{from, to}, text...)
}

// registration is a REGISTER and its 200.
func registration(from byte, sentBy, call, contact string, cseq int) [][]byte {
	head := fmt.Sprintf(`Via: SIP/2.0/UDP %s;branch=z9hG4bK%s%d
From: <sip:bob@lab.example>;tag=%s
To: <sip:bob@lab.example>%%s
Call-ID: %s
CSeq: %d REGISTER
Contact: %s`, sentBy, call, cseq, call, call, cseq, contact)
	return [][]byte{
		said(from, proxyAt, "REGISTER sip:lab.example SIP/2.0\n"+head, ""),
		said(proxyAt, from, "SIP/2.0 200 OK\n"+head, ";tag=r"),
	}
}

// call is a call of carol's to bob through the proxy.
func call() [][]byte {
	const (
		carol = "Via: SIP/2.0/UDP 127.0.0.4:5060;branch=z9hG4bKc%d\n"
		proxy = "Via: SIP/2.0/UDP 127.0.0.2:5060;branch=z9hG4bKp%d\n"
		rest  = "From: <sip:carol@lab.example>;tag=c\nTo: <sip:bob@lab.example>%s\nCall-ID: the-call\nCSeq: %d %s\nContact: <sip:%s>"
		own   = "carol@127.0.0.4:5060"
		bob   = "bob@127.0.0.3:5060"
	)
	return [][]byte{
		said(carolAt, proxyAt, "INVITE sip:bob@lab.example SIP/2.0\n"+carol+rest, 1, "", 1, "INVITE", own),
		said(proxyAt, bobAt, "INVITE sip:bob@127.0.0.3:5060 SIP/2.0\n"+proxy+carol+rest, 1, 1, "", 1, "INVITE", own),
		said(bobAt, proxyAt, "SIP/2.0 200 OK\n"+proxy+carol+rest, 1, 1, ";tag=b", 1, "INVITE", bob),
		said(proxyAt, carolAt, "SIP/2.0 200 OK\n"+carol+rest, 1, ";tag=b", 1, "INVITE", bob),
		said(carolAt, bobAt, "ACK sip:bob@127.0.0.3:5060 SIP/2.0\n"+carol+rest, 2, ";tag=b", 1, "ACK", own),
		said(carolAt, bobAt, "BYE sip:bob@127.0.0.3:5060 SIP/2.0\n"+carol+rest, 3, ";tag=b", 2, "BYE", own),
		said(bobAt, carolAt, "SIP/2.0 200 OK\n"+carol+rest, 3, ";tag=b", 2, "BYE", bob),
	}
}

// Who registers somebody else has not said that it is there: the other one's place stays his own, and needs no REGISTER. An
// alias may name who is meant by the place that he calls his own.
func TestRegistersAnother(t *testing.T) {
	t.Parallel()
	texts := slices.Concat(
		registration(agentAt, "127.0.0.1:5060", "first", "<sip:bob@127.0.0.3:5060>", 1),
		registration(carolAt, "127.0.0.4:5060", "second", "<sip:carol@127.0.0.4:5060>", 1),
		call(),
		registration(carolAt, "127.0.0.4:5060", "second", "<sip:carol@127.0.0.4:5060>;expires=0", 2),
	)
	p, err := datagrams(t, texts).plan(t, plan.Options{Aliases: map[string]string{"127.0.0.1": "agent", "127.0.0.4:5060": "carol"}})
	if err != nil {
		t.Fatal(err)
	}
	agent, ok := p.Host("agent")
	if !ok || slices.Contains(agent.Names, "127.0.0.3:5060") {
		t.Errorf("%+v", agent)
	}
	if carol, ok := p.Host("carol"); !ok || !slices.Contains(carol.Names, "127.0.0.4:5060") {
		t.Errorf("%+v", p.Hosts)
	}
	var registers []plan.Step
	bye := 0
	for _, s := range p.Steps {
		if s.Made {
			t.Errorf("step %d is made:\n%s", s.ID, s.Message)
		}
		switch text := string(s.Message); {
		case strings.HasPrefix(text, "REGISTER"):
			registers = append(registers, s)
		case strings.HasPrefix(text, "SIP/2.0 200") && strings.Contains(text, " BYE\r\n"):
			bye = s.ID
		}
	}
	if len(registers) != 3 || bye == 0 {
		t.Fatalf("%d REGISTERs, 200 to BYE is step %d", len(registers), bye)
	}
	// Of one address of record: each changes what the registrar says to the next one.
	if after := registers[1].After; !slices.Contains(after, registers[0].ID+1) {
		t.Errorf("the second REGISTER waits for %v", after)
	}
	// Who unregisters has hung up.
	if after := registers[2].After; !slices.Contains(after, bye) {
		t.Errorf("the last REGISTER waits for %v", after)
	}
}

// One who is asked at one address and answers from another is one participant, with or without branches; where several are
// asked alike and without branches nobody knows whose answer it is.
func TestAnswersFromElsewhere(t *testing.T) {
	t.Parallel()
	const text = "Via: SIP/2.0/UDP 127.0.0.2%s\nFrom: <sip:p@lab.example>;tag=p\nTo: <sip:bob@lab.example>%s\nCall-ID: asked\nCSeq: 1 OPTIONS"
	for _, test := range []struct {
		branch string
		asked  []byte
		hosts  int
	}{
		{"", []byte{bobAt}, 2},
		{";branch=z9hG4bKasked", []byte{bobAt}, 2},
		{"", []byte{bobAt, agentAt}, 4},
	} {
		var all [][]byte
		for _, to := range test.asked {
			all = append(all, said(proxyAt, to, "OPTIONS sip:bob@127.0.0.3 SIP/2.0\n"+text, test.branch, ""))
		}
		all = append(all, said(carolAt, proxyAt, "SIP/2.0 200 OK\n"+text, test.branch, ";tag=b"))
		p, err := datagrams(t, all).plan(t, plan.Options{Self: true})
		if err != nil {
			t.Fatal(err)
		}
		if len(p.Hosts) != test.hosts {
			t.Errorf("%d asked, branch %q: %d participants, want %d: %+v", len(test.asked), test.branch, len(p.Hosts), test.hosts, p.Hosts)
		}
	}
}
