package registrar

import (
	"math"

	"sipscope/decode/sip"
	"sipscope/element/transport"
	"sipscope/element/txn"
)

// Mux makes one element of a registrar and another user of the same transaction layer: a redirect server or a proxy. It is
// a txn.User.
type Mux struct {
	Registrar *Registrar // REGISTER for its domains
	Other     txn.User   // all else
	// SetData is that of the layer; needed. It marks what the registrar answers, so that Other hears nothing of it.
	SetData func(id txn.ID, data uint64)
}

var _ txn.User = (*Mux)(nil)

// answered marks the transactions of the registrar.
const answered = math.MaxUint64

// Request gives a request to whom it is for.
func (x *Mux) Request(id txn.ID, r *transport.Received) {
	if id != 0 && r.Msg.MethodID == sip.MethodRegister && x.Registrar.Serves(r) {
		x.SetData(id, answered)
		x.Registrar.Request(id, r)
		return
	}
	x.Other.Request(id, r)
}

// Response passes on.
func (x *Mux) Response(id txn.ID, data uint64, r *transport.Received) { x.Other.Response(id, data, r) }

// Cancel passes on.
func (x *Mux) Cancel(invite txn.ID, data uint64, r *transport.Received) {
	x.Other.Cancel(invite, data, r)
}

// Failed passes on what is not the registrar's.
func (x *Mux) Failed(id txn.ID, data uint64, err error) {
	if data != answered {
		x.Other.Failed(id, data, err)
	}
}

// Ended passes on what is not the registrar's.
func (x *Mux) Ended(id txn.ID, data uint64) {
	if data != answered {
		x.Other.Ended(id, data)
	}
}

// Handler makes a handler of h, such as a txn.Layer, that also wakes a Store: bindings end in time, and its file is
// written.
func Handler(h transport.Handler, s *Store) transport.Handler { return handler{h, s} }

type handler struct {
	transport.Handler
	store *Store
}

// Wake wakes both.
func (h handler) Wake(now int64) (next int64) {
	next = h.Handler.Wake(now)
	return min(next, h.store.Wake(now))
}
