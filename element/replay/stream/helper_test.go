package stream

import (
	"iter"
	"math"
	"math/rand/v2"
	"net/netip"
	"testing"

	recorded "sipscope/correlate/cut"
	"sipscope/decode/rtp"
	"sipscope/decode/sdp"
	"sipscope/element/media"
	"sipscope/element/replay/guard"
	"sipscope/element/transport"
	"sipscope/element/virtual"
)

const (
	start  = int64(1_700_000_000_000_000_000)
	ms     = int64(1e6)
	second = int64(1e9)
)

func rng(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 3)) }

func ap(s string) netip.AddrPort { return netip.MustParseAddrPort(s) }

// Payloads that tests use.
func pcmu(pt uint8) recorded.Payload {
	return recorded.Payload{PT: pt, Name: "PCMU", Clock: 8000, Channels: 1}
}

func pcma(pt uint8) recorded.Payload {
	return recorded.Payload{PT: pt, Name: "pcma", Clock: 8000, Channels: 1}
}

func g729(pt uint8) recorded.Payload {
	return recorded.Payload{PT: pt, Name: "G729", Clock: 8000, Channels: 1}
}

func opus(pt uint8) recorded.Payload {
	return recorded.Payload{PT: pt, Name: "opus", Clock: 48000, Channels: 2}
}

func event(pt uint8) recorded.Payload {
	return recorded.Payload{PT: pt, Name: "telephone-event", Clock: 8000, Channels: 1, Params: "0-15"}
}

// taken is a packet with its time.
type taken struct {
	at int64
	rtp.Packet
	to netip.AddrPort
}

// sequence makes packets into what NewRecording takes.
func sequence(packets []taken) iter.Seq2[int64, []byte] {
	return func(yield func(int64, []byte) bool) {
		for i := range packets {
			if !yield(packets[i].at, packets[i].Append(nil)) {
				return
			}
		}
	}
}

// talk makes n packets of 20 ms with a payload type.
func talk(pt uint8, n int) []taken {
	all := make([]taken, n)
	for i := range all {
		payload := make([]byte, 160)
		for k := range payload {
			payload[k] = byte(i + k)
		}
		all[i] = taken{at: int64(i) * 20 * ms, Packet: rtp.Packet{
			Marker: i == 0, PT: pt, Seq: uint16(65530 + i), Timestamp: math.MaxUint32 - 500 + uint32(160*i), SSRC: 0xabc, Payload: payload,
		}}
	}
	return all
}

// press puts a digit in the place of packets i to i+5.
func press(all []taken, i int, code uint8) {
	for k := range 6 {
		p := &all[i+k]
		p.PT, p.Marker, p.Timestamp = 101, k == 0, all[i].Timestamp
		p.Payload = rtp.Event{Code: code, End: k >= 3, Volume: 10, Duration: uint16(160 * min(k+1, 4))}.Append(nil)
	}
}

// rig is two hosts, a guard, and what one of them gets.
type rig struct {
	network    *virtual.Net
	guard      *guard.Guard
	us, live   *virtual.Host
	set        *Set
	got        []taken
	control    int
	bye        bool
	livePort   *virtual.Port
	lastReport rtp.Info
}

func newRig(tb testing.TB, seed uint64) *rig {
	tb.Helper()
	r := &rig{network: virtual.New(start, rng(seed)), set: NewSet(), guard: guard.New(ap("10.0.0.5:5060"))}
	r.us = r.network.Host("us", transport.Listen{Proto: transport.UDP, AddrPort: ap("10.0.0.1:5060")})
	r.live = r.network.Host("live", transport.Listen{Proto: transport.UDP, AddrPort: ap("10.0.0.5:5060")})
	p, err := r.live.OpenPort(netip.Addr{})
	if err != nil {
		tb.Fatal(err)
	}
	r.livePort = p
	p.Receive(func(now int64, _ netip.AddrPort, b []byte) {
		x := taken{at: now - ms, to: p.Local()} // the path takes one
		if rtp.Parse(b, &x.Packet) != nil {
			tb.Errorf("% x arrived", b)
		}
		x.Payload = append([]byte(nil), x.Payload...)
		r.got = append(r.got, x)
	})
	p.Control().Receive(func(_ int64, _ netip.AddrPort, b []byte) {
		r.control++
		if err := rtp.Controls(b, func(c *rtp.Control) bool {
			r.bye = r.bye || c.Type == rtp.Bye
			if i, ok := c.Info(); ok {
				r.lastReport = i
			}
			return true
		}); err != nil {
			tb.Error(err)
		}
	})
	return r
}

// agreed is an Agreed towards the live port.
func (r *rig) agreed() media.Agreed {
	to := r.livePort.Local()
	return media.Agreed{
		Remote: to, RemoteRTCP: netip.AddrPortFrom(to.Addr(), to.Port()+1), SendEvent: -1, GetEvent: -1, Direction: sdp.SendRecv,
	}
}

// stream begins a stream with a guarded port.
func (r *rig) stream(tb testing.TB, cfg Config) *Stream {
	tb.Helper()
	p, err := r.guard.Ports(r.us).Open(netip.Addr{})
	if err != nil {
		tb.Fatal(err)
	}
	cfg.Port = p
	if cfg.Rand == nil {
		cfg.Rand = rng(9)
	}
	s := New(r.network.Now(), cfg)
	r.set.Add(s)
	return s
}

// run lets time pass.
func (r *rig) run(tb testing.TB, until int64) {
	tb.Helper()
	var wake func()
	wake = func() {
		if next := r.set.Wake(r.network.Now()); next < math.MaxInt64 && next <= until {
			r.network.At(next, wake)
		}
	}
	r.network.At(r.network.Now(), wake)
	if err := r.network.Run(until); err != nil {
		tb.Fatal(err)
	}
}
