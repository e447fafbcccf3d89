package correlate_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"testing"
	"time"

	"sipscope/capture"
	"sipscope/capture/hep"
	"sipscope/correlate"
	"sipscope/decode"
)

// agents wraps the messages of n calls as one or more agents send them to a collector, each some milliseconds later.
func agents(t *testing.T, n int, change func(agent int, p *hep.Packet) hep.Encoding, ids ...uint32) []capture.Packet {
	t.Helper()
	var out []capture.Packet
	for i, m := range decoded(callPackets(n)) {
		for k, id := range ids {
			p := hep.Packet{
				Version: 3, Proto: 17, Type: 1, Src: m.Src.AddrPort(), Dst: m.Dst.AddrPort(), CaptureID: id,
				Time: 1e18 + m.Time + int64(k)*int64(7*time.Millisecond), Payload: m.SIP.Raw,
			}
			o := hep.Encoding{}
			if change != nil {
				o = change(k, &p)
			}
			b, err := hep.Append(nil, &p, o)
			if err != nil {
				t.Fatal(err)
			}
			out = append(out, capture.Packet{
				Seq: uint64(len(out) + 1), Time: p.Time + int64(time.Second), Link: capture.LinkEthernet,
				Data: udpFrame([4]byte{192, 0, 2, byte(id)}, [4]byte{192, 0, 2, 200}, uint16(i), string(b)),
			})
		}
	}
	return out
}

func runBoard(t *testing.T, packets []capture.Packet) *correlate.Board {
	t.Helper()
	for i := range packets {
		packets[i].WireLen = uint32(len(packets[i].Data))
	}
	board := &correlate.Board{}
	if err := correlate.Run(context.Background(), &memory{packets: packets, batch: 16}, correlate.Config{Board: board}); err != nil {
		t.Fatal(err)
	}
	return board
}

// Addresses and times are those that the agent saw, whatever carried its message.
func TestHEPCalls(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(int, *hep.Packet) hep.Encoding{
		"version 3":  nil,
		"compressed": func(int, *hep.Packet) hep.Encoding { return hep.Encoding{Compress: true} },
		"version 2":  func(_ int, p *hep.Packet) hep.Encoding { p.Version = 2; return hep.Encoding{Version: 2} },
		"by TCP":     func(_ int, p *hep.Packet) hep.Encoding { p.Proto = 6; return hep.Encoding{} },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			board := runBoard(t, agents(t, 20, change, 7))
			acct, _ := board.Accounting()
			if acct.Messages != 140 || acct.Outcomes[decode.OutcomeSIP] != 140 {
				t.Fatalf("%+v", acct)
			}
			for s := range board.Calls() {
				if s.State != correlate.StateCompleted || s.Messages != 7 || s.Retransmissions+s.Duplicates != 0 {
					t.Errorf("call %d: %s with %d messages", s.Num, s.State, s.Messages)
				}
				if s.Src.String() != "10.0.0.1:5060" || s.Dst.String() != "10.0.0.2:5060" {
					t.Errorf("call %d: from %s to %s", s.Num, s.Src, s.Dst)
				}
				if d := s.First - 1e18; d < 0 || d > int64(time.Second) {
					t.Errorf("call %d begins at %v", s.Num, time.Duration(d))
				}
			}
		})
	}
}

// The same message from two agents is one message; a retransmission that both saw is one retransmission.
func TestHEPTwoAgents(t *testing.T) {
	t.Parallel()
	board := runBoard(t, agents(t, 20, nil, 1, 2))
	for s := range board.Calls() {
		if s.Messages != 14 || s.Duplicates != 7 || s.Retransmissions != 0 || s.State != correlate.StateCompleted {
			t.Fatalf("call %d: %d messages, %d duplicates, %d retransmissions", s.Num, s.Messages, s.Duplicates, s.Retransmissions)
		}
	}
	packets := agents(t, 1, nil, 1, 2)
	again := append([]capture.Packet(nil), packets[:2]...) // the INVITE, 500 ms later (RFC 3261 T1)
	again[0] = agents(t, 1, func(_ int, p *hep.Packet) hep.Encoding { p.Time += 500e6; return hep.Encoding{} }, 1)[0]
	again[1] = agents(t, 1, func(_ int, p *hep.Packet) hep.Encoding { p.Time += 507e6; return hep.Encoding{} }, 2)[0]
	packets = append(packets[:2:2], append(again, packets[2:]...)...)
	for i := range packets {
		packets[i].Seq = uint64(i + 1)
	}
	for s := range runBoard(t, packets).Calls() {
		if s.Retransmissions != 1 || s.Duplicates != 8 {
			t.Errorf("%d retransmissions and %d duplicates, want 1 and 8", s.Retransmissions, s.Duplicates)
		}
	}
}

// What an agent relates to another call is joined with it.
func TestHEPCorrelation(t *testing.T) {
	t.Parallel()
	board := runBoard(t, agents(t, 2, func(_ int, p *hep.Packet) hep.Encoding {
		if bytes.Contains(p.Payload, []byte("call-1@")) {
			p.CorrelationID = []byte("call-0@10.0.0.1")
		}
		return hep.Encoding{}
	}, 1))
	var got []string
	for s := range board.Calls() {
		got = append(got, fmt.Sprint(s.Group, s.Relation))
	}
	if fmt.Sprint(got) != "[1 1 agent]" && fmt.Sprint(got) != "[1 1agent]" {
		t.Errorf("groups %q", got)
	}
}

// HEP that carries something else, lies, or is cut, is no message and harms nothing.
func TestHEPOthers(t *testing.T) {
	t.Parallel()
	good := agents(t, 1, nil, 1)[0]
	var zipped bytes.Buffer
	w := gzip.NewWriter(&zipped)
	_, _ = w.Write(make([]byte, 1<<20))
	_ = w.Close()
	others := agents(t, 1, func(_ int, p *hep.Packet) hep.Encoding {
		p.Payload, p.Type = []byte("\x80\xc8\x00\x06rtcp"), 5
		return hep.Encoding{}
	}, 1)
	var packets []capture.Packet
	for _, data := range [][]byte{good.Data[:60], good.Data[:100], others[0].Data, good.Data} {
		packets = append(packets, capture.Packet{
			Seq: uint64(len(packets) + 1), Time: int64(len(packets)), Data: data, Link: capture.LinkEthernet,
		})
	}
	for i := range good.Data[42:] {
		if i > 120 {
			break
		}
		data := bytes.Clone(good.Data)
		data[42+i] ^= 0xff
		packets = append(packets, capture.Packet{Seq: uint64(len(packets) + 1), Time: 5, Data: data, Link: capture.LinkEthernet})
	}
	acct, _ := runBoard(t, packets).Accounting()
	var sum uint64
	for _, n := range acct.Outcomes {
		sum += n
	}
	if sum != uint64(len(packets)) || acct.Messages == 0 {
		t.Errorf("%d outcomes of %d packets, %d messages", sum, len(packets), acct.Messages)
	}
}
