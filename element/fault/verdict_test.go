package fault

import (
	"fmt"
	"testing"

	"sipscope/decode/sip"
)

func TestVerdictsAreBounded(t *testing.T) {
	t.Parallel()
	v := newVerdicts()
	for i := range uint64(3 * maxVerdicts) {
		v.put(i, verdict{code: 1})
		v.put(i, verdict{code: 2}) // decided again: it does not count twice
		if len(v.by) > maxVerdicts || len(v.ring) > maxVerdicts {
			t.Fatalf("%d decisions are kept", len(v.by))
		}
	}
	if d, ok := v.get(3*maxVerdicts - 1); !ok || d.code != 2 {
		t.Errorf("the newest is %+v, %t", d, ok)
	}
	if _, ok := v.get(2*maxVerdicts - 1); ok {
		t.Error("the oldest is still there")
	}
	if _, ok := v.get(2 * maxVerdicts); !ok {
		t.Error("one that should be there is not")
	}
}

// TestKeys: an ACK and a CANCEL find their INVITE, and nothing else does.
func TestKeys(t *testing.T) {
	t.Parallel()
	v := newVerdicts()
	key := func(method, branch, id, as string) uint64 {
		var m sip.Message
		err := sip.Parse(fmt.Appendf(nil, "%s sip:b SIP/2.0\r\nVia: SIP/2.0/UDP a;branch=%s\r\nCall-ID: %s\r\nCSeq: 1 %s\r\n"+
			"From: <sip:a>;tag=1\r\nTo: <sip:b>\r\n\r\n", method, branch, id, method), &m)
		if err != nil {
			t.Fatal(err)
		}
		return v.key(&m, as)
	}
	invite := key("INVITE", "z9hG4bK1", "c", "")
	for _, same := range []uint64{
		key("ACK", "z9hG4bK1", "c", "INVITE"), key("CANCEL", "z9hG4bK1", "c", "INVITE"), key("INVITE", "z9hG4bK1", "c", ""),
	} {
		if same != invite {
			t.Error("does not find its INVITE")
		}
	}
	for _, other := range []uint64{
		key("CANCEL", "z9hG4bK1", "c", ""), key("INVITE", "z9hG4bK2", "c", ""), key("INVITE", "z9hG4bK1", "d", ""),
	} {
		if other == invite {
			t.Error("finds a foreign INVITE")
		}
	}
}
