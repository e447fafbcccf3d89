package registrar

// EventKind is what happened to a binding.
type EventKind uint8

// Kinds of events.
const (
	Bound     EventKind = iota + 1 // it is new
	Refreshed                      // a REGISTER wrote it again
	Removed                        // a REGISTER or Store.Remove took it away
	Expired                        // its time came
)

// String is the kind in lower case.
func (k EventKind) String() string {
	return [...]string{"", "bound", "refreshed", "removed", "expired"}[min(k, Expired)]
}

// Event is a change of a binding.
type Event struct {
	Kind    EventKind
	Now     int64  // nanoseconds since 1970-01-01 UTC
	AOR     string // in its canonical form
	Binding Binding
}

// StoreStats are figures of a Store.
type StoreStats struct {
	AORs     int // with a binding, or known
	Idle     int // of those the ones that lost their last binding
	Bindings int

	Bound, Refreshed, Removed, Expired uint64 // since the start; what a file brought back is not counted

	File FileStats
}

// Stats gives the figures.
func (s *Store) Stats() StoreStats {
	st := s.stats
	st.AORs, st.Idle, st.Bindings = s.nrecords, s.idle.n, s.bindings
	if s.journal != nil {
		st.File = s.journal.stats
	}
	return st
}

// event counts a change of binding i and describes it, as long as the binding is there.
func (s *Store) event(kind EventKind, i uint32, now int64) Event {
	switch kind {
	case Bound:
		s.stats.Bound++
	case Refreshed:
		s.stats.Refreshed++
	case Removed:
		s.stats.Removed++
	case Expired:
		s.stats.Expired++
	}
	if s.cfg.Event == nil {
		return Event{}
	}
	return Event{Kind: kind, Now: now, AOR: string(s.aor(i)), Binding: s.binding(i)}
}

func (s *Store) emit(e Event) {
	if e.Kind != 0 {
		s.cfg.Event(e)
	}
}
