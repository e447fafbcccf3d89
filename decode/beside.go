package decode

import (
	"bytes"

	"sipscope/decode/frame"
)

// besideRTP reports whether a session description has an m= line that is carried in something else than RTP and is not
// rejected: T.38, MSRP, BFCP. It looks at the m= lines alone.
func besideRTP(body []byte) bool {
	mark := []byte("\nm=")
	for {
		i := bytes.Index(body, mark)
		if i < 0 {
			return false
		}
		body = body[i+len(mark):]
		line := body
		if k := bytes.IndexByte(line, '\n'); k >= 0 {
			line = line[:k]
		}
		_, line = word(line)
		port, line := word(line)
		proto, _ := word(line)
		if len(proto) > 0 && !bytes.Contains(proto, []byte("RTP/")) && !bytes.Equal(port, []byte("0")) {
			return true
		}
	}
}

// Unclaimed gives the packet at a place in the batch if it carries something that is no SIP, whole and between two ports: a
// datagram or a TCP segment with a payload. Whether it is of an RTP stream is not looked at. f is nil for all others.
func (w *Work) Unclaimed(i int) (f *frame.Packet, tcp bool) {
	u := &w.units[i]
	tcp = u.result == frame.TCP
	if !tcp && u.result != frame.UDP || len(u.frame.Payload) == 0 {
		return nil, tcp
	}
	switch u.outcome { //nolint:exhaustive // what nothing else claimed
	case OutcomeOther, OutcomeEncrypted, OutcomeHeld, OutcomeDuplicate:
		return &u.frame, tcp
	}
	return nil, tcp
}
