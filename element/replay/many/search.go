package many

import (
	"cmp"
	"fmt"
	"slices"
)

// SearchOptions say how the highest clean rate is looked for. Zero values stand for the defaults.
type SearchOptions struct {
	Start      float64 // plays a second of the first trial; 0: 10
	Max        float64 // that no trial exceeds; 0: 100,000
	Resolution float64 // share of the rate at which the search stops; 0: 0.05
	Confirm    int     // trials at the rate that was found, beyond the first; 0: 2, negative: none
	Trials     int     // in all; 0: 40
}

// lowest is the rate below which nothing is looked for.
const lowest = 0.5

// Search looks for the highest clean rate: it doubles until a trial is not clean, halves the distance between the highest
// clean rate and the lowest one that was not until both are close, and tries the winner again. One that does not stand its
// confirmation becomes the new upper end, and what was clean below it is tried again before it is believed.
type Search struct {
	opt    SearchOptions
	rate   float64   // of the trial that is to be made
	clean  []float64 // rates that were clean, rising
	high   float64   // the lowest rate that was not; 0 none
	agreed int       // confirmations of the best
	doubt  bool      // a rate that was clean was not when it was tried again: so may be those below
	trials int
	done   bool
	why    string
}

// NewSearch begins one. The error wraps ErrOptions.
func NewSearch(o SearchOptions) (*Search, error) {
	o.Start, o.Max = cmp.Or(o.Start, 10), cmp.Or(o.Max, 100_000)
	o.Resolution, o.Confirm, o.Trials = cmp.Or(o.Resolution, 0.05), cmp.Or(o.Confirm, 2), cmp.Or(o.Trials, 40)
	if !(o.Start >= lowest && o.Max <= MaxRate && o.Start <= o.Max) {
		return nil, fmt.Errorf("%w: a search from %v to %v plays a second", ErrOptions, o.Start, o.Max)
	}
	if !(o.Resolution >= 0.001 && o.Resolution <= 1) || o.Trials < 1 {
		return nil, fmt.Errorf("%w: a search with a resolution of %v in %d trials", ErrOptions, o.Resolution, o.Trials)
	}
	return &Search{opt: o, rate: o.Start}, nil
}

// Rate is that of the next trial, in plays a second; 0 when the search is over.
func (s *Search) Rate() float64 {
	if s.done {
		return 0
	}
	return s.rate
}

// Best is the highest rate that was clean each time; 0 when there is none.
func (s *Search) Best() float64 {
	if len(s.clean) == 0 {
		return 0
	}
	return s.clean[len(s.clean)-1]
}

// Confirmed is how many further trials at Best were clean.
func (s *Search) Confirmed() int { return s.agreed }

// Why says why the search ended; "" while it goes on.
func (s *Search) Why() string { return s.why }

// Add takes what came of the trial at Rate.
func (s *Search) Add(clean bool) {
	if s.done {
		return
	}
	s.trials++
	confirming := len(s.clean) > 0 && s.rate == s.Best()
	switch {
	case clean && confirming:
		s.agreed++
		s.doubt = false
	case clean:
		s.clean = append(s.clean, s.rate) // it is above all others: the search only looks above the best
		s.agreed = 0
	default:
		s.high, s.agreed, s.doubt = s.rate, 0, s.doubt || confirming
		s.clean = slices.DeleteFunc(s.clean, func(r float64) bool { return r >= s.rate })
	}
	s.choose()
}

// choose finds the next rate.
func (s *Search) choose() {
	best := s.Best()
	switch {
	case s.trials >= s.opt.Trials:
		s.end(fmt.Sprintf("%d trials were made", s.trials))
	case s.doubt && best > 0:
		s.rate = best
	case s.high == 0 && best < s.opt.Max:
		s.rate = min(2*best, s.opt.Max)
	case s.high != 0 && s.high-best > max(s.opt.Resolution*best, lowest):
		s.rate = (best + s.high) / 2
	case best == 0:
		s.end(fmt.Sprintf("not even %.3g plays a second were clean", s.high))
	case s.agreed < s.opt.Confirm:
		s.rate = best
	case s.high == 0:
		s.end(fmt.Sprintf("%.6g plays a second is the highest rate that was to be tried", best))
	default:
		s.end(fmt.Sprintf("%.6g plays a second were not clean", s.high))
	}
}

func (s *Search) end(why string) { s.done, s.why = true, why }
