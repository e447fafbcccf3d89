package registrar

import (
	"encoding/binary"
	"fmt"
	"math"
	"net/netip"

	"sipscope/element/transport"
)

// planned is one step of a Registration that waits until all have been checked.
type planned struct {
	slot    uint32 // 0: a new binding
	text    uint32 // the block that its texts go into; noText: it goes
	contact int    // index in Registration.Contacts; -1: a later one took its place
}

// Register does what a REGISTER asks for, all of it or nothing (RFC 3261 10.3 steps 6 and 7). aor is a URI in any form.
// It fails with ErrAOR, ErrOrder, ErrContacts, ErrFull or ErrTooLong.
func (s *Store) Register(aor []byte, reg *Registration, now int64) error {
	n := s.find(aor)
	if n != 0 {
		s.purge(n, now)
		n = s.find(aor) // purge may have made it forgotten
	}
	if reg.RemoveAll {
		return s.removeAll(n, reg, now)
	}
	added, removed, err := s.check(n, reg, now)
	if err != nil {
		return err
	}
	have := 0
	if n != 0 {
		have = int(s.records.at(n).count)
	}
	switch {
	case added > 0 && have+added-removed > s.cfg.MaxContacts:
		return fmt.Errorf("%w: %d of %d", ErrContacts, have+added-removed, s.cfg.MaxContacts)
	case added > 0 && s.bindings+added-removed > s.cfg.MaxBindings:
		return fmt.Errorf("%w: %d bindings", ErrFull, s.bindings)
	}
	if err = s.reserve(reg, now); err != nil {
		return err
	}
	if added > 0 {
		if n, err = s.record(aor); err != nil {
			s.unreserve(reg)
			return err
		}
	}
	s.commit(n, reg, now)
	return nil
}

// reserve finds a block for each text that the plan writes.
func (s *Store) reserve(reg *Registration, now int64) error {
	for i := range s.plan {
		p := &s.plan[i]
		if p.contact < 0 || reg.Contacts[p.contact].Ends <= now {
			continue
		}
		var ok bool
		if p.text, ok = s.block(p.slot, &reg.Contacts[p.contact], reg); !ok {
			s.unreserve(reg)
			return fmt.Errorf("%w: no room for texts", ErrFull)
		}
	}
	return nil
}

// block finds a block for the texts of a binding: the one that it has, if that fits. slot may be 0.
func (s *Store) block(slot uint32, c *Contact, reg *Registration) (ref uint32, ok bool) {
	s.textBuf = appendTexts(s.textBuf[:0], c, reg)
	class := textClass(len(s.textBuf))
	if slot != 0 {
		if old := s.slots.at(slot); textClass(int(old.size)) == class {
			return old.text, true
		}
	}
	return s.texts.take(class)
}

// unreserve frees what reserve found.
func (s *Store) unreserve(reg *Registration) {
	for _, p := range s.plan {
		if p.text != noText && (p.slot == 0 || s.slots.at(p.slot).text != p.text) {
			s.textBuf = appendTexts(s.textBuf[:0], &reg.Contacts[p.contact], reg)
			s.texts.remove(p.text, len(s.textBuf))
		}
	}
}

// check fills the plan with what reg changes.
func (s *Store) check(n uint32, reg *Registration, now int64) (added, removed int, err error) {
	s.plan = s.plan[:0]
	if len(reg.Contacts) > s.cfg.perRequest() {
		return 0, 0, fmt.Errorf("%w: %d in one request", ErrContacts, len(reg.Contacts))
	}
	for i := range reg.Contacts {
		c := &reg.Contacts[i]
		if textSize(c, reg) > maxText {
			return 0, 0, ErrTooLong
		}
		at := s.bound(n, c.URI)
		if at != 0 {
			switch old := s.slots.at(at); {
			case old.expires == Forever:
				continue
			case s.stale(at, reg):
				return 0, 0, ErrOrder
			}
		}
		s.replan(reg, c.URI, at)
		s.plan = append(s.plan, planned{slot: at, text: noText, contact: i})
	}
	for _, p := range s.plan {
		if p.contact < 0 {
			continue
		}
		switch gone := reg.Contacts[p.contact].Ends <= now; {
		case gone && p.slot != 0:
			removed++
		case !gone && p.slot == 0:
			added++
		}
	}
	return added, removed, nil
}

// replan drops the step of an earlier Contact of the request that is equal to uri, or that changes the same binding: of
// sip:a, sip:a;x=1 and sip:a;x=2 the first is equal to both others, which are not equal.
func (s *Store) replan(reg *Registration, uri []byte, slot uint32) {
	for i := range s.plan {
		p := &s.plan[i]
		if p.contact >= 0 && (slot != 0 && p.slot == slot || EqualURI(reg.Contacts[p.contact].URI, uri)) {
			p.contact = -1
		}
	}
}

// bound finds the binding of record n, which may be 0, to a URI that is equal to uri.
func (s *Store) bound(n uint32, uri []byte) uint32 {
	if n == 0 {
		return 0
	}
	for i := s.records.at(n).first; i != 0; i = s.slots.at(i).next {
		if old, _ := nextText(s.text(i)); EqualURI(old, uri) {
			return i
		}
	}
	return 0
}

// stale reports whether a binding was written by a request of reg's Call-ID that was not sent before reg.
func (s *Store) stale(i uint32, reg *Registration) bool {
	old := s.slots.at(i)
	_, rest := nextText(s.text(i))
	callID, _ := nextText(rest)
	return reg.CSeq <= old.cseq && string(callID) == string(reg.CallID)
}

func (s *Store) removeAll(n uint32, reg *Registration, now int64) error {
	if n == 0 {
		return nil
	}
	first := s.records.at(n).first
	for i := first; i != 0; i = s.slots.at(i).next {
		if s.slots.at(i).expires != Forever && s.stale(i, reg) {
			return ErrOrder
		}
	}
	for i := first; i != 0; {
		next := s.slots.at(i).next
		if s.slots.at(i).expires != Forever {
			s.remove(Removed, i, now)
		}
		i = next
	}
	return nil
}

// commit carries the plan out. Removals come first, so that no limit is passed in between. Nothing of it can fail.
func (s *Store) commit(n uint32, reg *Registration, now int64) {
	for _, p := range s.plan {
		if p.contact >= 0 && p.slot != 0 && p.text == noText {
			s.remove(Removed, p.slot, now)
		}
	}
	for _, p := range s.plan {
		if p.text == noText {
			continue
		}
		kind, i := Refreshed, p.slot
		if i == 0 {
			kind, i = Bound, s.link(n)
		}
		s.write(i, p.text, &reg.Contacts[p.contact], reg)
		s.save(i)
		s.emit(s.event(kind, i, now))
	}
	if n != 0 {
		s.sleep(n)
	}
}

// Add makes a binding that no REGISTER makes, such as one of the command line, in place of an equal one. A binding with
// Forever as its end is neither written to a file nor changed by a REGISTER. It fails as Register does.
func (s *Store) Add(aor string, b *Binding, now int64) error {
	reg := &Registration{CallID: []byte(b.CallID), CSeq: b.CSeq, Path: []byte(b.Path), Received: b.Received}
	reg.Contacts = []Contact{{URI: []byte(b.URI), Params: []byte(b.Params), Q: b.Q, Ends: b.Ends}}
	s.Remove(aor, b.URI, now)
	return s.Register([]byte(aor), reg, now)
}

// Remove takes a binding away, also one without end. It reports whether there was one.
func (s *Store) Remove(aor, uri string, now int64) bool {
	i := s.bound(s.find([]byte(aor)), []byte(uri))
	if i != 0 {
		s.remove(Removed, i, now)
	}
	return i != 0
}

// maxExpire bounds how many bindings one Wake ends; the rest follows at the next, so that answers are not late.
const maxExpire = 4096

// Wake ends the bindings whose time has come and writes what the file lacks. It gives the time when it wants to be called
// next, math.MaxInt64 for never.
func (s *Store) Wake(now int64) (next int64) {
	for range maxExpire {
		if len(s.queue.heap) == 0 || s.queue.ends(0) > now {
			break
		}
		s.remove(Expired, s.queue.heap[0], now)
	}
	next = math.MaxInt64
	if len(s.queue.heap) > 0 {
		next = s.queue.ends(0)
	}
	if s.journal != nil {
		next = min(next, s.wakeJournal(now))
	}
	return next
}

// purge ends the bindings of a record whose time has come, before anything compares with them.
func (s *Store) purge(n uint32, now int64) {
	for i := s.records.at(n).first; i != 0; {
		next := s.slots.at(i).next
		if s.slots.at(i).expires <= now {
			s.remove(Expired, i, now)
		}
		i = next
	}
}

// link makes a binding without content at the end of those of record n.
func (s *Store) link(n uint32) uint32 {
	i := s.slots.add()
	*s.slots.at(i) = slot{record: n, text: noText}
	r := s.records.at(n)
	at := &r.first
	for *at != 0 {
		at = &s.slots.at(*at).next
	}
	*at = i
	r.count++
	s.bindings++
	s.wake(n)
	return i
}

// write sets what a binding is. Its texts go into the block ref, see block.
func (s *Store) write(i, ref uint32, c *Contact, reg *Registration) {
	sl := s.slots.at(i)
	if sl.text != noText {
		s.live -= s.savedSize(i)
		if sl.text != ref {
			s.texts.remove(sl.text, int(sl.size))
		}
	}
	s.textBuf = appendTexts(s.textBuf[:0], c, reg)
	copy(s.texts.block(ref, len(s.textBuf)), s.textBuf)
	sl.text, sl.size = ref, uint16(len(s.textBuf)) //nolint:gosec // at most maxText: check saw to it
	sl.q, sl.cseq, sl.expires = int16(max(-1, min(c.Q, 1000))), reg.CSeq, c.Ends
	s.live += s.savedSize(i)
	if sl.expires == Forever {
		s.queue.remove(i)
		return
	}
	s.queue.fix(i)
}

// remove takes binding i away; its record may be forgotten then.
func (s *Store) remove(kind EventKind, i uint32, now int64) {
	e := s.event(kind, i, now)
	if kind != Expired { // a file needs no word for that
		s.saveRemoval(i)
	}
	n := s.erase(i)
	s.sleep(n)
	s.emit(e)
}

// erase takes binding i out of all lists and gives its record.
func (s *Store) erase(i uint32) (n uint32) {
	s.live -= s.savedSize(i)
	sl := s.slots.at(i)
	n = sl.record
	r := s.records.at(n)
	at := &r.first
	for *at != i {
		at = &s.slots.at(*at).next
	}
	*at = sl.next
	r.count--
	s.bindings--
	s.queue.remove(i)
	s.texts.remove(sl.text, int(sl.size))
	s.slots.remove(i)
	return n
}

// textSize is not less than what appendTexts appends.
func textSize(c *Contact, reg *Registration) int {
	const lengths, addresses = 4 * 2, 1 + binary.MaxVarintLen64 + 2*(1+16+2+64)
	return len(c.URI) + len(reg.CallID) + len(c.Params) + len(reg.Path) + len(reg.Received.Name) + lengths + addresses
}

// appendTexts appends the texts of a binding, each after its length: URI, Call-ID, parameters, Path, and, if it has one,
// the hop that it was received on.
func appendTexts(dst []byte, c *Contact, reg *Registration) []byte {
	dst = appendText(dst, c.URI)
	dst = appendText(dst, reg.CallID)
	dst = appendText(dst, c.Params)
	dst = appendText(dst, reg.Path)
	h := &reg.Received
	if h.Proto == 0 {
		return dst
	}
	dst = append(dst, byte(h.Proto))
	dst = binary.AppendUvarint(dst, h.Conn)
	dst = appendAddr(dst, h.Local)
	dst = appendAddr(dst, h.Remote)
	return append(dst, h.Name...)
}

func appendText[T string | []byte](dst []byte, t T) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(t))), t...)
}

func appendAddr(dst []byte, a netip.AddrPort) []byte {
	at := len(dst)
	dst = append(dst, 0)
	if zone := a.Addr().Zone(); len(zone) > 64 {
		return dst
	}
	dst, err := a.AppendBinary(dst)
	if err != nil {
		return dst[:at+1]
	}
	dst[at] = byte(len(dst) - at - 1) //nolint:gosec // at most 16 + 64 + 2
	return dst
}

// nextText reads what appendText wrote; of what it did not write, nothing.
func nextText(b []byte) (t, rest []byte) {
	n, size := binary.Uvarint(b)
	if size <= 0 || n > uint64(len(b[max(size, 0):])) {
		return nil, nil
	}
	b = b[size:]
	return b[:n], b[n:]
}

// readHop reads the hop at the end of a binding's texts.
func readHop(b []byte) (h transport.Hop) {
	if len(b) == 0 {
		return h
	}
	h.Proto = transport.Proto(b[0])
	conn, size := binary.Uvarint(b[1:])
	if size <= 0 {
		return transport.Hop{}
	}
	h.Conn = conn
	b = b[1+size:]
	for _, a := range [...]*netip.AddrPort{&h.Local, &h.Remote} {
		if len(b) == 0 || int(b[0]) > len(b)-1 {
			return transport.Hop{}
		}
		end := 1 + int(b[0])
		if end > 1 && a.UnmarshalBinary(b[1:end]) != nil {
			return transport.Hop{}
		}
		b = b[end:]
	}
	h.Name = string(b)
	return h
}

// text gives the texts of binding i, valid until it changes.
func (s *Store) text(i uint32) []byte {
	sl := s.slots.at(i)
	return s.texts.block(sl.text, int(sl.size))
}

// aor gives the address-of-record of binding i in its canonical form, valid as long as the record.
func (s *Store) aor(i uint32) []byte {
	r := s.records.at(s.slots.at(i).record)
	return s.texts.block(r.text, int(r.size))
}

// binding copies binding i.
func (s *Store) binding(i uint32) Binding {
	sl := s.slots.at(i)
	b := Binding{CSeq: sl.cseq, Q: int(sl.q), Ends: sl.expires}
	raw := s.text(i)
	all := string(raw) // one copy for all
	at := 0
	for _, field := range [...]*string{&b.URI, &b.CallID, &b.Params, &b.Path} {
		t, rest := nextText(raw[at:])
		end := len(raw) - len(rest)
		*field = all[end-len(t) : end]
		at = end
	}
	b.Received = readHop(raw[at:])
	return b
}
