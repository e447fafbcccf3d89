package cut

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"github.com/pion/srtp/v3"

	"sipscope/correlate"
	"sipscope/decode/rtp"
	"sipscope/decode/sip"
)

// Errors of Result.Open.
var (
	// ErrDTLS says that the keys of a stream were agreed on in a DTLS handshake (RFC 5764): they stand in no SDP.
	ErrDTLS = errors.New("the keys of DTLS-SRTP are not in the SDP")
	// ErrNoKey says that no SDP of the call has a key (a=crypto) for a stream.
	ErrNoKey = errors.New("no SDP of the call has a key (a=crypto)")
	// ErrAuthentication says that none of the packets fits any of the call's keys.
	ErrAuthentication = errors.New("no packet fits a key of the call's SDP")
)

// Bounds of decryption.
const (
	maxCryptos  = 32      // distinct a=crypto attributes of a call
	maxRollover = 256     // rollover counters that are tried for a stream whose beginning was not seen: 93 h at 50 packets/s
	firstTries  = 16      // packets in a row that fit no key and are tried with everything; then the 32nd, 64th and so on
	maxTries    = 1 << 16 // decryptions by other keys than the last one, of a stream; some 100 ms
	maxSearch   = 1 << 15 // counters that are tried in all, of a stream; some 50 ms
)

// secrets are what the SDP of a call says about the encryption of its media.
type secrets struct {
	cryptos   []offered
	must      uint64  // m= lines with a profile of SRTP, a bit each; without it (RFC 8643) RTP may be plain
	dtls      [2]bool // by caller, by callee: a=fingerprint
	unusable  error   // the last a=crypto that cannot be used
	callerTag string
	begun     bool
}

// offered is an a=crypto attribute with who sends with its key.
type offered struct {
	Crypto
	side correlate.Side
	line int
}

// Opened says what came of decrypting a stream.
type Opened struct {
	Plain         bool   // it is RTP, though the SDP offered SRTP (RFC 8643)
	Authenticated uint64 // packets that fit a key
	Failed        uint64 // packets that fit none: they are left out
	Keys          int    // of the SDP that fit
	Suite         string // of the last of those
	Unproved      bool   // the packets have no authentication (UNAUTHENTICATED_SRTP): the key is the sender's, as SDP says
}

// Side is the end of the call that sent a stream: the author of the SDP that named its source, or the other one of that
// which named its destination. SideUnknown when nobody knows.
func (r *Result) Side(stream int) correlate.Side {
	if stream < 0 || stream >= len(r.sides) {
		return correlate.SideUnknown
	}
	return r.sides[stream]
}

// Open gives a stream with its packets as plain RTP. Those of a stream that is not Secure are as they are. Those of SRTP
// are decrypted by the keys in the SDP of the call (RFC 3711, RFC 4568): the keys of its sender are tried first, then all
// others, and the packet's authentication tells which is right, so that a change of keys by a re-INVITE is found where it
// happens. The rollover counter of a stream whose beginning was not seen is found the same way. Packets that fit no key
// are left out and counted. It fails with ErrDTLS, ErrNoKey, ErrAuthentication, or ErrCrypto, which says why no key of the
// SDP could be used. The Result stays as it is.
func (r *Result) Open(stream int) (Stream, Opened, error) {
	if stream < 0 || stream >= len(r.Streams) {
		return Stream{}, Opened{}, fmt.Errorf("%w: stream %d of %d", ErrPacket, stream, len(r.Streams))
	}
	s := r.Streams[stream]
	if !s.Secure {
		return s, Opened{Plain: true}, nil
	}
	k := r.secrets[s.Call]
	if k == nil {
		k = &secrets{}
	}
	o := opener{tries: k.tries(r.Side(stream), s.Medium)}
	must := s.Medium >= 0 && s.Medium < 64 && k.must>>s.Medium&1 != 0
	if len(o.tries) == 0 {
		if both := k.dtls[0] && k.dtls[1]; !must && !both {
			return s, Opened{Plain: true}, nil // an offer of SRTP that the other side did not take up
		}
		return s, Opened{}, k.why()
	}
	open := o.packets(s.Packets)
	if o.opened.Authenticated == 0 && len(s.Packets) > 0 {
		if !must {
			return s, Opened{Plain: true}, nil
		}
		return s, o.opened, fmt.Errorf("%w: %d packets, %d keys tried", ErrAuthentication, len(s.Packets), len(o.tries))
	}
	s.Packets = open
	return s, o.opened, nil
}

// why is why there is no key.
func (k *secrets) why() error {
	switch {
	case k.unusable != nil:
		return k.unusable
	case k.dtls[0] || k.dtls[1]:
		return ErrDTLS
	}
	return ErrNoKey
}

// tries are the keys for a stream, the likely ones first: of its sender and its m= line, of its sender, all others; the
// newest first, since every re-INVITE may change them.
func (k *secrets) tries(side correlate.Side, line int) []*attempt {
	var ranks [3][]*attempt
	for i := len(k.cryptos) - 1; i >= 0; i-- {
		c := &k.cryptos[i]
		rank := 2
		if c.side == side {
			rank = 1
			if c.line == line {
				rank = 0
			}
		}
		if c.untried && rank != 0 {
			continue // any key would do for packets without authentication
		}
		for j := range c.keys {
			ranks[rank] = append(ranks[rank], &attempt{crypto: &c.Crypto, key: &c.keys[j]})
		}
	}
	return append(append(ranks[0], ranks[1]...), ranks[2]...)
}

// attempt is a key with its state for one stream.
type attempt struct {
	crypto  *Crypto
	key     *masterKey
	context *srtp.Context // made when it is first tried
	broken  bool
	fits    bool
}

// opener decrypts the packets of a stream.
type opener struct {
	tries   []*attempt
	now     *attempt // what fitted last
	failed  uint64   // packets in a row that nothing fits
	left    int      // of maxTries
	budget  int      // of maxSearch
	scratch []byte
	opened  Opened
}

func (o *opener) packets(in []Packet) []Packet {
	o.left, o.budget = maxTries, maxSearch
	out := make([]Packet, 0, len(in))
	for i := range in {
		data := o.packet(in[i].Data)
		if data == nil {
			o.opened.Failed++
			continue
		}
		p := in[i]
		p.Data = bytes.Clone(data)
		out = append(out, p)
	}
	return out
}

// packet decrypts a packet into the scratch buffer; nil when it fits no key.
func (o *opener) packet(data []byte) []byte {
	if o.now != nil {
		if b := o.decrypt(o.now, data); b != nil {
			return o.fitted(o.now, b)
		}
	}
	// Trying everything costs some thousand times what a packet costs: forged packets must not buy that each time.
	o.failed++
	if o.failed > firstTries && o.failed&(o.failed-1) != 0 || o.left < len(o.tries) {
		return nil
	}
	o.left -= len(o.tries)
	for _, t := range o.tries {
		if b := o.decrypt(t, data); b != nil {
			return o.fitted(t, b)
		}
	}
	if len(data) < rtp.HeaderBytes {
		return nil
	}
	ssrc := binary.BigEndian.Uint32(data[8:])
	for _, t := range o.tries {
		if b := o.search(t, data, ssrc); b != nil {
			return o.fitted(t, b)
		}
	}
	return nil
}

// fitted counts a packet that fits.
func (o *opener) fitted(t *attempt, b []byte) []byte {
	if !t.fits {
		t.fits = true
		o.opened.Keys++
	}
	o.now, o.failed = t, 0
	o.opened.Suite, o.opened.Unproved = t.crypto.Suite, t.crypto.untried
	o.opened.Authenticated++
	return b
}

// decrypt decrypts a packet with a key; nil when it does not fit.
func (o *opener) decrypt(t *attempt, data []byte) []byte {
	if t.broken {
		return nil
	}
	if t.context == nil {
		var err error
		if t.context, err = t.crypto.context(t.key); err != nil {
			t.broken = true
			return nil
		}
	}
	if cap(o.scratch) < len(data) {
		o.scratch = make([]byte, 0, len(data)+256)
	}
	b, err := t.context.DecryptRTP(o.scratch[:0], data, nil)
	if err != nil {
		return nil
	}
	return b
}

// search decrypts a packet with the counters that follow the key's last one, or those from 0 (RFC 3711 3.3.1): a receiver
// is told the counter when it joins, a capture that begins in the middle is not.
func (o *opener) search(t *attempt, data []byte, ssrc uint32) []byte {
	if t.broken || t.crypto.untried {
		return nil
	}
	was, _ := t.context.ROC(ssrc)
	from := uint32(0)
	if t.fits {
		from = was
	}
	for n := from; n-from < maxRollover && n < math.MaxUint32 && o.budget > 0; n++ {
		o.budget--
		t.context.SetROC(ssrc, n)
		if b := o.decrypt(t, data); b != nil {
			return b
		}
	}
	t.context.SetROC(ssrc, was)
	return nil
}

// secret takes what a message's SDP, parsed in n.session, says about encryption.
func (n *namings) secret(call int, c *correlate.Call, message int, body []byte) correlate.Side {
	k := n.secrets[call]
	if k == nil {
		k = &secrets{}
		n.secrets[call] = k
	}
	side := k.author(c, message, &n.message)
	crypto := false
	for line := range n.session.Media {
		m := &n.session.Media[line]
		if m.Fingerprint && side != correlate.SideUnknown {
			k.dtls[side-correlate.Caller] = true
		}
		if line < 64 && bytes.Contains(bytes.ToUpper(m.Proto), []byte("SAVP")) {
			k.must |= 1 << line
		}
		crypto = crypto || m.Crypto
	}
	if crypto {
		k.read(body, side)
	}
	return side
}

// author tells which end of the call wrote a message's SDP: a request is of the one whose tag is in From, a response of
// the other one (RFC 3261 8.1.1.3, 8.2.6.2), on whichever hop it was seen.
func (k *secrets) author(c *correlate.Call, message int, m *sip.Message) correlate.Side {
	from := string(m.From.Tag.Of(m.Raw))
	if !k.begun {
		k.begun, k.callerTag = true, from
		if d := c.Messages[message].Dialog; d >= 0 && d < len(c.Dialogs) {
			k.callerTag = c.Dialogs[d].CallerTag
		}
	}
	if (from == k.callerTag) == m.Request {
		return correlate.Caller
	}
	return correlate.Callee
}

// read reads the a=crypto attributes of a description. They belong to the m= line before them (RFC 4568 4).
func (k *secrets) read(body []byte, side correlate.Side) {
	line := -1
	for text := range bytes.SplitSeq(body, []byte("\n")) {
		kind, value, ok := bytes.Cut(text, []byte("="))
		if !ok {
			continue
		}
		switch kind = bytes.TrimRight(kind, " \t"); string(kind) {
		case "m":
			line++
		case "a":
			if value, ok = bytes.CutPrefix(bytes.TrimSpace(value), []byte("crypto:")); ok && line >= 0 {
				k.crypto(value, side, line)
			}
		}
	}
}

// crypto takes an attribute that is not known yet: the copies of a message on many hops say the same.
func (k *secrets) crypto(value []byte, side correlate.Side, line int) {
	c, err := ParseCrypto(value)
	if err != nil {
		k.unusable = err
		return
	}
	for i := range k.cryptos {
		if x := &k.cryptos[i]; x.side == side && x.line == line && x.equal(&c) {
			return
		}
	}
	if len(k.cryptos) < maxCryptos {
		k.cryptos = append(k.cryptos, offered{Crypto: c, side: side, line: line})
	}
}
