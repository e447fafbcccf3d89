package ladder

import "slices"

// foldHops makes one arrow of the copies of a message that follow each other: each begins where the one before ended
// and says the same.
func foldHops(rows []Row) []Row {
	out := rows[:0]
	for i := range rows {
		r := rows[i]
		if n := len(out); n > 0 && continues(&out[n-1], &r) {
			p := &out[n-1]
			p.To = r.To
			p.Hops++
			p.Notes = addNew(p.Notes, r.Notes)
			if p.Count < r.Count {
				p.Count, p.Intervals = r.Count, r.Intervals
			}
			for _, m := range r.Messages {
				if len(p.Messages) < maxIntervals {
					p.Messages = append(p.Messages, m)
				}
			}
			continue
		}
		out = append(out, r)
	}
	return out
}

func continues(p, r *Row) bool {
	if p.Kind != Arrow || r.Kind != Arrow || p.Call != r.Call || p.To != r.From || p.From == r.To || r.From == r.To {
		return false
	}
	if (p.From < p.To) != (r.From < r.To) {
		return false // an arrow points one way
	}
	return p.Label == r.Label && p.Method == r.Method && p.Dialog == r.Dialog && p.SDP == r.SDP &&
		p.Retransmission == r.Retransmission && p.Transport == r.Transport
}

func addNew(all, more []string) []string {
	for _, s := range more {
		if !slices.Contains(all, s) {
			all = append(all, s)
		}
	}
	return all
}
