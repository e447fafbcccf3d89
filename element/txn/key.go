package txn

import (
	"bytes"
	"encoding/binary"
	"hash/maphash"

	"sipscope/decode/sip"
)

// key is what a transaction is found by (RFC 3261 17.1.3, 17.2.3). common stands for what the messages of one transaction,
// its CANCEL and its ACK share: number of CSeq, branch and sent-by, which are compared without case; without the magic
// cookie also Call-ID, From tag and, at a server, Request-URI. It is a hash of 128 bits with seeds that nobody knows: with
// a million transactions a wrong match comes once in 10^26 messages, and 50 bytes are saved of each of them.
type key struct {
	common [2]uint64
	rest   uint32 // hash of a method that is not in the table; at a server without the magic cookie, of the To tag too
	role   uint8  // a sip.MethodID, INVITE for an ACK, with keyClient for a client transaction
}

const keyClient = 0x80

// crowd is how many transactions may share the common part of a key. An honest peer has an INVITE, its CANCEL, and what
// elements send that use one branch for everything. A hostile one could otherwise have ever more of them, with unknown
// methods or To tags, and each search pass all of them.
const crowd = 24

// hash is the key's in an index.
func (k *key) hash() uint32 { return uint32(k.common[0]) } //nolint:gosec // the lower half

// keyMaker makes keys without allocating.
type keyMaker struct {
	seeds [2]maphash.Seed
	b     []byte
}

// keyMax is the length up to which a text is written out before it is hashed. Of a longer one, from the wire, its hash is.
const keyMax = 128

// make makes the key of a message: client says that of a client transaction.
func (k *keyMaker) make(m *sip.Message, client bool) (made key) {
	t := m.TxnKey()
	made.role = uint8(t.MethodID)
	if client {
		made.role |= keyClient
	}
	k.b = binary.LittleEndian.AppendUint32(k.b[:0], t.CSeq)
	k.fold(t.Branch.Of(m.Raw))
	k.fold(t.SentBy.Of(m.Raw))
	if !t.RFC3261 {
		k.add(m.CallID.Of(m.Raw))
		k.add(t.FromTag.Of(m.Raw))
		if !client {
			k.add(m.URI.Of(m.Raw))
		}
	}
	made.common = [2]uint64{maphash.Bytes(k.seeds[0], k.b), maphash.Bytes(k.seeds[1], k.b)}
	if t.MethodID != sip.MethodUnknown && (t.RFC3261 || client) {
		return made
	}
	k.b = k.b[:0]
	if t.MethodID == sip.MethodUnknown {
		k.add(t.Method.Of(m.Raw))
	}
	if !t.RFC3261 && !client {
		k.add(m.To.Tag.Of(m.Raw))
	}
	made.rest = uint32(maphash.Bytes(k.seeds[0], k.b)) //nolint:gosec // the lower half
	return made
}

// add appends a text with its length.
func (k *keyMaker) add(b []byte) {
	k.b = binary.LittleEndian.AppendUint32(k.b, uint32(len(b))) //nolint:gosec // a message is far below 4 GiB
	if len(b) > keyMax {
		k.b = binary.LittleEndian.AppendUint64(k.b, maphash.Bytes(k.seeds[1], b))
		return
	}
	k.b = append(k.b, b...)
}

// fold appends a text in lower case.
func (k *keyMaker) fold(b []byte) {
	if len(b) > keyMax {
		b = bytes.ToLower(b)
	}
	from := len(k.b) + 4
	k.add(b)
	for i, c := range k.b[from:] {
		if c-'A' < 26 && len(b) <= keyMax {
			k.b[from+i] = c + 'a' - 'A'
		}
	}
}

// find finds the transaction of a key; 0 when there is none. same is how many share the common part with it, as far as they
// were looked at: all when there is none.
func (l *Layer) find(k *key) (x uint32, same int) {
	return l.byKey.find(k.hash(), func(x uint32) bool { return l.slab.at(x).key == *k })
}

// findBeside finds the server transaction whose request shares the common part of the key: of an ACK without the magic
// cookie, whose To tag is not that of its INVITE, the INVITE; of a CANCEL what it is for, whatever the method.
func (l *Layer) findBeside(k *key, ack bool) uint32 {
	found, _ := l.byKey.find(k.hash(), func(x uint32) bool {
		have := &l.slab.at(x).key
		if ack && have.role != uint8(sip.MethodInvite) || have.role == uint8(sip.MethodCancel) || have.role >= keyClient {
			return false
		}
		return have.common == k.common
	})
	return found
}

// mergeHash is the hash of what a request and its copies that came another way share (RFC 3261 8.2.2.2). It stands for the
// texts, which are gone when a copy comes after the answer: with a million transactions a wrong match comes once in 10^13
// requests. ok is false for one that cannot be such a copy.
func (k *keyMaker) mergeHash(m *sip.Message) (hash uint64, ok bool) {
	if !m.To.Tag.Empty() || m.From.Tag.Empty() {
		return 0, false
	}
	k.b = binary.LittleEndian.AppendUint32(k.b[:0], m.CSeq)
	k.add(m.CallID.Of(m.Raw))
	k.add(m.From.Tag.Of(m.Raw))
	k.add(m.CSeqMethod.Of(m.Raw))
	return maphash.Bytes(k.seeds[0], k.b), true
}
