package transport

import (
	"bytes"
	"strconv"

	"sipscope/decode/sip"
)

// rejection is the response to a request whose end cannot be found, of which head is what has come (RFC 3261 18.3, 8.2.6);
// nil when it is no request that can be answered, or an ACK. Status -1 stands for no answer.
func rejection(head []byte, status int, why string) []byte {
	var m sip.Message
	if status < 100 || len(head) > maxRejected || sip.Parse(head, &m) != nil || !answerable(&m) {
		return nil
	}
	// A head that was cut off may end in the middle of a line.
	whole := uint32(bytes.LastIndexByte(head, '\n') + 1) //nolint:gosec // at most 1 MiB
	var b sip.Builder
	b.Reset(nil)
	b.Response(status, "")
	for i := range m.Headers {
		h := &m.Headers[i]
		if h.Value.Off+h.Value.Len >= whole {
			break
		}
		value := string(h.Value.Of(head))
		switch h.ID {
		case sip.HeaderVia, sip.HeaderFrom, sip.HeaderCallID, sip.HeaderCSeq:
			b.Header(h.ID, value)
		case sip.HeaderTo:
			if m.To.Tag.Empty() {
				value += ";tag=0"
			}
			b.Header(h.ID, value)
		default:
		}
	}
	b.Header(sip.HeaderWarning, "399 transport "+strconv.Quote(why))
	b.Body(nil)
	raw, err := b.Bytes()
	if err != nil {
		return nil
	}
	return raw
}

// maxRejected is how many bytes of a head are looked at.
const maxRejected = 1 << 20

// answerable reports whether there can be a response to m that its sender finds its request by.
func answerable(m *sip.Message) bool {
	return m.Request && m.MethodID != sip.MethodAck && m.Vias > 0 && !m.CallID.Empty() && m.HasCSeq
}
