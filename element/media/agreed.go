package media

import (
	"net/netip"

	"sipscope/decode/rtp"
	"sipscope/decode/sdp"
)

// Agreed is what an offer and its answer agree on (RFC 3264), from our side.
type Agreed struct {
	Remote     netip.AddrPort // where to send RTP; invalid when there is nowhere: rejected, or a host name
	RemoteRTCP netip.AddrPort // where to send RTCP
	Local      netip.AddrPort // where we said that we receive
	Codec      Codec
	SendPT     uint8         // of what we send
	ReceivePT  uint8         // of what we get
	SendEvent  int           // payload type of telephone-event that we send; -1: not agreed
	GetEvent   int           // and that we get
	Direction  sdp.Direction // ours: sendonly when we hold the other side
	Held       bool          // the other side holds us: we hear nothing, or it is not heard
	Rejected   bool          // port 0: no media flow
	Ptime      uint16        // ms, what we send in a packet; 0: 20
	Mux        bool          // RTCP at the port of RTP
}

// Sends reports whether RTP is to be sent.
func (a *Agreed) Sends() bool { return !a.Rejected && a.Remote.IsValid() && a.Direction.Sends() }

const (
	defaultPtime = 20 // ms (RFC 3551 4.2)
	maxPT        = rtp.MaxPT
)
