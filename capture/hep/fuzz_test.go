package hep

import (
	"bytes"
	"errors"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// Whatever comes, Decode gives slices of it where it says they are, or an error within it; and what Is denies does not
// decode.
func FuzzDecode(f *testing.F) {
	for _, g := range goldens() {
		f.Add(bin(f, g.bytes))
	}
	f.Add([]byte("HEP3\x00\x0c\x00\x00\x00\x01\x00\x00"))
	f.Add([]byte("HEP3\xff\xff\x00\x00\x00\x0f\xff\xff"))
	f.Fuzz(func(t *testing.T, b []byte) {
		var p Packet
		err := Decode(b, &p)
		if err != nil {
			var he *Error
			if !errors.As(err, &he) || he.Offset < 0 || he.Offset > len(b) {
				t.Fatalf("%v for %d bytes", err, len(b))
			}
			return
		}
		if !Is(b) {
			t.Fatal("decoded, but Is says that it is none")
		}
		if p.Payload != nil && !bytes.Equal(p.Payload, b[p.PayloadOff:p.PayloadOff+len(p.Payload)]) {
			t.Fatal("the payload is not where PayloadOff says")
		}
		if p.Compressed {
			if out, err := Inflate(nil, p.Payload, 4096); len(out) > 4096 || err == nil && len(p.Payload) == 0 {
				t.Fatalf("inflated to %d bytes, %v", len(out), err)
			}
		}
	})
}

// A stream cut anywhere gives the same messages.
func FuzzExtent(f *testing.F) {
	one := bin(f, goldens()[0].bytes)
	f.Add(append(bytes.Clone(one), one...), 7)
	f.Add([]byte("HEP3\x00\x05"), 5)
	f.Add([]byte("HEP"), 1)
	f.Fuzz(func(t *testing.T, b []byte, cut int) {
		n, state := Extent(b)
		switch {
		case state == Whole && (n < headSize || n > len(b)),
			state == NeedMore && n != 0 && n <= len(b),
			state == NotHEP && n != 0, state == 0:
			t.Fatalf("%d, %d for %d bytes", n, state, len(b))
		}
		cut = min(max(cut, 0), len(b))
		k, before := Extent(b[:cut])
		switch {
		case before == NotHEP && state != NotHEP, before == Whole && state != Whole,
			k != 0 && state != NotHEP && k != n:
			t.Fatalf("%d, %d of the first %d bytes, %d, %d of all %d", k, before, cut, n, state, len(b))
		}
	})
}

// What Append writes, Decode reads.
func FuzzRoundTrip(f *testing.F) {
	f.Add(uint8(3), uint8(17), uint8(1), []byte("\xc0\x00\x02\x01\xc0\x00\x02\x02"), uint32(5060<<16|5080),
		int64(1_700_000_000_123_456_789), uint32(7), []byte("key"), []byte("node"), []byte("id"), []byte("OPTIONS"), true)
	f.Add(uint8(2), uint8(6), uint8(1), make([]byte, 32), uint32(1), int64(1_700_000_000_000_000_000), uint32(1<<16-1),
		[]byte{}, []byte{}, []byte{}, []byte("x"), false)
	f.Fuzz(func(t *testing.T, version, proto, typ uint8, addrs []byte, ports uint32, at int64, id uint32,
		key, node, correlation, payload []byte, compress bool,
	) {
		p := Packet{
			Version: version, Proto: proto, Type: typ, Time: at - at%1000, CaptureID: id, KeepAlive: uint16(ports),
			VLAN: uint16(id), Key: key, Node: node, CorrelationID: correlation, Payload: payload,
		}
		switch {
		case len(addrs) >= 32:
			p.Family = familyIPv6
			p.Src = netip.AddrPortFrom(netip.AddrFrom16([16]byte(addrs)), uint16(ports>>16))
			p.Dst = netip.AddrPortFrom(netip.AddrFrom16([16]byte(addrs[16:])), uint16(ports))
		case len(addrs) >= 8:
			p.Family = familyIPv4
			p.Src = netip.AddrPortFrom(netip.AddrFrom4([4]byte(addrs)), uint16(ports>>16))
			p.Dst = netip.AddrPortFrom(netip.AddrFrom4([4]byte(addrs[4:])), uint16(ports))
		}
		b, err := Append(nil, &p, Encoding{Version: version, Compress: compress})
		if err != nil {
			return
		}
		var q Packet
		if err = Decode(b, &q); err != nil {
			if version == 0 || version == 3 {
				t.Fatalf("%v: % x", err, b)
			}
			return // older versions must add up to be believed
		}
		if q.Compressed {
			if q.Payload, err = Inflate(nil, q.Payload, MaxInflated); err != nil {
				t.Fatal(err)
			}
		}
		if p.Version = q.Version; version == 1 || version == 2 {
			p.Type, p.KeepAlive, p.VLAN, p.Key, p.Node, p.CorrelationID = TypeSIP, 0, 0, nil, nil, nil
			p.CaptureID = uint32(uint16(p.CaptureID))
			if version == 1 {
				p.CaptureID, p.Time = 0, 0
			}
		}
		if p.Time < 1_000_000_000 {
			p.Time, q.Time = 0, 0 // without seconds there is no time
		}
		if d := cmp.Diff(p, q, sameAddr, cmpopts.EquateEmpty(), cmpopts.IgnoreFields(Packet{}, "PayloadOff", "Compressed")); d != "" {
			t.Fatalf("(-want +got)\n%s", d)
		}
	})
}
