package proxy

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"sipscope/element/registrar"
	"sipscope/element/transport"
)

// TestLocation: bindings of a registrar's store as targets.
func TestLocation(t *testing.T) {
	t.Parallel()
	store := registrar.NewStore(registrar.StoreConfig{})
	hop := transport.Hop{Proto: transport.TCP, Conn: 7}
	contact := func(uri string, q int) registrar.Contact {
		return registrar.Contact{URI: []byte(uri), Q: q, Ends: start + int64(time.Hour)}
	}
	for _, r := range []registrar.Registration{
		{CallID: []byte("1"), CSeq: 1, Received: hop, Contacts: []registrar.Contact{contact("sip:a@1.1.1.1", 300), contact("sip:b@2.2.2.2", -1)}},
		{CallID: []byte("2"), CSeq: 1, Received: hop, Path: []byte(`<sip:p1;lr>, "x, y" <sip:p2;lr>`), Contacts: []registrar.Contact{contact("sip:c@3.3.3.3", 500)}},
	} {
		if err := store.Register([]byte("sip:bob@b.com"), &r, start); err != nil {
			t.Fatal(err)
		}
	}
	got, known := Location{store}.Lookup("sip:bob@B.com", start)
	want := []Target{
		{URI: "sip:b@2.2.2.2", Q: 1000, Hop: hop},
		{URI: "sip:c@3.3.3.3", Q: 500, Path: []string{"<sip:p1;lr>", `"x, y" <sip:p2;lr>`}},
		{URI: "sip:a@1.1.1.1", Q: 300, Hop: hop},
	}
	if d := cmp.Diff(want, got, cmpopts.EquateComparable(transport.Hop{})); d != "" || !known {
		t.Error(d, known)
	}
	if got, known = (Location{store}).Lookup("sip:bob@b.com", start+2*int64(time.Hour)); len(got) != 0 || !known {
		t.Error(got, known)
	}
	if _, known = (Location{store}).Lookup("sip:nobody@b.com", start); known {
		t.Error("known")
	}
}
