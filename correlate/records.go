package correlate

import (
	"sipscope/decode"
	"sipscope/decode/frame"
	"sipscope/decode/sip"
)

// msgRec is what is kept of a message: 80 bytes, no pointers; its text stays in the capture.
type msgRec struct {
	time   int64
	seq    uint64
	off    int64  // of the first piece
	size   uint32 // of the first piece
	sig    uint32
	next   uint32 // message of the call
	prev   uint32 // earlier distinct message of the transaction
	of     uint32 // the message that this one repeats
	last   uint32 // of an original: its newest repetition
	txn    uint32
	dialog uint32
	more   uint32 // further pieces
	src    uint16 // index into the call's endpoints
	dst    uint16
	method uint16 // see methods
	status uint16
	file   uint16
	nth    uint16
	ipid   uint16 // IP identification; without bitIPID (IPv6) the hop limit
	path   uint16 // see paths
	bits   msgBits
}

// msgBits packs the flags of a message, its transport and its position on the path.
type msgBits uint32

const (
	bitSDP msgBits = 1 << (16 + iota)
	bitIPID
	transportShift = 20
	copyShift      = 24
)

func (b msgBits) flags() decode.Flags         { return decode.Flags(b & 0xffff) }
func (b msgBits) transport() decode.Transport { return decode.Transport(b >> transportShift & 0xf) }
func (b msgBits) copy() int                   { return int(b >> copyShift) }

// pieceRec is a further piece of a message's text.
type pieceRec struct {
	seq  uint64
	off  int64
	size uint32
	next uint32
	file uint16
}

// txnRec is a transaction: no pointers.
type txnRec struct {
	key    uint64
	sigs   uint64 // bit of the low six bits of each signature in chain: most new messages are seen to be new by it
	call   uint32
	same   uint32 // older transaction with this key (another hop)
	next   uint32 // younger transaction of the call
	prev   uint32 // older
	cseq   uint32
	req    uint32 // message
	prov   uint32 // newest provisional
	final  uint32 // first final
	ack    uint32
	mate   uint32 // INVITE <-> CANCEL
	chain  uint32 // newest distinct message
	from   uint32 // low bits of the From tag's hash
	src    uint16
	dst    uint16
	vias   uint16
	status uint16
	method uint16
	leg    uint16
	again  uint16 // repeats
	state  TxnState
	bits   txnBits
}

type txnBits uint8

const (
	txnInitial txnBits = 1 << iota // no To tag in the request
	txnCaller                      // on the caller's hop
	txnRemove                      // REGISTER: bindings removed; SUBSCRIBE: ended
	txnQuery                       // REGISTER without Contact
	txnOrphan                      // only responses seen
	txnRequest                     // the request was seen
	txnFinal                       // a final response was seen
)

// dialogRec is a Call-ID with a pair of tags.
type dialogRec struct {
	fromHash, toHash uint64 // tags as the request that made it had them
	tags             ref    // both, the From tag first
	fromLen          uint32
	next             uint32
	method           uint16
	state            DialogState
	early            bool // a 101-199 to an INVITE was seen
	answered         bool // a 2xx to an INVITE was seen
}

// addrRec is a From or To without a string each: spans into callRec.text.
type addrRec struct{ display, uri, user, host sip.Span }

// inlineEndpoints is how many addresses a call keeps beside its other fields: caller, proxy and callee, and one more.
const inlineEndpoints = 4

// callRec is a call: no pointers, so that a hundred thousand cost the garbage collector nothing. Its texts share one
// ref; what few calls have is in a sideRec. What every message touches comes first: the tracker is bound by memory, not
// by arithmetic.
type callRec struct {
	rev          uint64
	last         int64
	eps          [inlineEndpoints]frame.Endpoint
	nEps         uint32
	side         uint32 // sideRec
	head, tail   uint32 // messages
	lastTxn      uint32
	deciding     uint32 // the caller's newest transaction of the call's method
	dialogs      uint32
	nTxns        uint32 // records in the list of transactions
	messages     uint32
	kept         uint32
	diags        uint32
	hops         [6]uint32 // pairs of endpoint indices
	nHops        uint32
	method       uint16
	code         uint16
	caller       uint16 // endpoint index
	callee       uint16
	callerVias   uint16
	releasedBy   uint16
	bits         callBits
	transports   uint8
	state        State
	endedBy      Side
	userAgent    uint32 // interned
	server       uint32
	reason       uint32
	words        uint64
	hash         uint64
	fromTag      uint64
	ev           Evidence
	first        int64
	inviteAt     int64
	answerAt     int64
	byeAt        int64
	pdd, setup   int64
	duration     int64
	text         ref
	id, ruri     sip.Span
	from, to     addrRec
	num          uint32
	sameHash     uint32
	txns         uint32
	group        uint32
	again        uint32
	duplicates   uint32
	transactions uint32
	confirmed    uint32
	early        uint32
	cause        int32
	relation     relation
}

// sideRec is what few calls have.
type sideRec struct {
	columns []string         // values of Config.Headers
	eps     []frame.Endpoint // beyond the inline ones
	tunnels []string         // distinct paths of its messages, at most maxCallPaths
	reg     *Registration
}

type callBits uint16

const (
	callInvite    callBits = 1 << iota // an INVITE transaction was seen
	callInDialog                       // the first message was already inside a dialog
	callAnswered                       // 2xx at the caller, or an ACK or BYE that implies it
	callBye                            // BYE seen
	callCancel                         // the caller sent CANCEL
	callSubActive                      // a subscription is active
	callSubEnded                       // and it ended
	callReleased                       // releasedBy is set
	callFromReq                        // caller and texts come from a request
	callNoMethods                      // nothing but ACKs so far
)

// methods interns method names, known ones at fixed places.
type methods struct {
	names []string
	index map[string]uint16
}

// maxMethods bounds the names; a peer may invent any number (each scanner does).
const maxMethods = 4096

func newMethods() *methods {
	m := &methods{index: map[string]uint16{}}
	for id := sip.MethodUnknown; id <= sip.MethodUpdate; id++ {
		m.names = append(m.names, id.String())
	}
	return m
}

func (m *methods) id(id sip.MethodID, text []byte) uint16 {
	if id != sip.MethodUnknown {
		return uint16(id)
	}
	if i, ok := m.index[string(text)]; ok {
		return i
	}
	if len(m.names) >= maxMethods || len(text) == 0 {
		return 0
	}
	i := uint16(len(m.names)) //nolint:gosec // below maxMethods
	m.names = append(m.names, string(text))
	m.index[m.names[i]] = i
	return i
}

func (m *methods) name(i uint16) string { return m.names[i] }
