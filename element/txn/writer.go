package txn

import (
	"bytes"

	"sipscope/decode/sip"
	"sipscope/element/compose"
	"sipscope/element/transport"
)

// Writer writes what the layer sends of its own accord, for a user that repeats what another element wrote. Both append
// a message to dst and give the whole; what they give back without more than dst, or what belongs to another
// transaction, is not sent, and the layer writes its own. They must not call the Layer.
type Writer interface {
	// AppendAck writes the ACK of a final response other than 2xx to an INVITE of the user's, which was sent to hop (RFC
	// 3261 17.1.1.3). It must have the top Via and the CSeq number of the INVITE and the To tag of the response. With own,
	// the user sends one itself, whenever it likes, as what forwards without state does; the layer then sends none.
	AppendAck(dst []byte, data uint64, hop transport.Hop, response *transport.Received) (raw []byte, own bool)
	// AppendConfirmation writes the final response to a CANCEL of a request that the user was given (RFC 3261 9.2).
	AppendConfirmation(dst []byte, data uint64, cancel *transport.Received) []byte
}

// ackByUser gives the ACK that the user writes; nil when it writes none that is fit. own: it sends one itself.
func (l *Layer) ackByUser(r *record, received *transport.Received) (ack []byte, own bool) {
	if l.cfg.Writer == nil || r.flags&flagInternal != 0 {
		return nil, false
	}
	raw, own := l.cfg.Writer.AppendAck(l.out[:0], r.data, l.ends.unpack(&r.hop), received)
	if own || len(raw) == 0 || sip.Parse(raw, &l.msg) != nil {
		return nil, own
	}
	l.out = raw
	m, answer := &l.msg, received.Msg
	if !m.Request || m.MethodID != sip.MethodAck || l.keys.make(m, true) != r.key ||
		!bytes.Equal(m.To.Tag.Of(m.Raw), answer.To.Tag.Of(answer.Raw)) {
		return nil, false
	}
	return raw, false
}

// confirmByUser gives the answer to a CANCEL that the user writes; nil when it writes none that is fit.
func (l *Layer) confirmByUser(k *key, data uint64, received *transport.Received) []byte {
	if l.cfg.Writer == nil {
		return nil
	}
	raw := l.cfg.Writer.AppendConfirmation(l.out[:0], data, received)
	if len(raw) == 0 || sip.Parse(raw, &l.msg) != nil {
		return nil
	}
	l.out = raw
	m := &l.msg
	if m.Request || m.Status < 200 || m.Status > 699 || m.MethodID != sip.MethodCancel {
		return nil
	}
	// a response is found by its client's key: the CANCEL's, as its client has it, must be the same
	if asked := l.keys.make(received.Msg, true); l.keys.make(m, true) != asked || asked.role&^keyClient != k.role {
		return nil
	}
	return raw
}

// confirmation is the answer to a CANCEL.
func (l *Layer) confirmation(k *key, data uint64, received *transport.Received, reply *compose.Reply) ([]byte, error) {
	if raw := l.confirmByUser(k, data, received); raw != nil {
		return raw, nil
	}
	l.addServer(reply)
	raw, err := compose.Response(l.out[:0], received.Msg, received.Hop.Remote, reply)
	l.out = raw
	return raw, err
}
