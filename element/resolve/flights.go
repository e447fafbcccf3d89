package resolve

import (
	"slices"
	"strings"
)

// flights are the questions that somebody waits for. They start in turns: each domain whose URIs lead to questions has a
// queue of its own, whatever names the questions are about. The zero value is empty.
type flights struct {
	byQuestion map[question]*flight
	domains    map[string]*domain
	turns      []*domain // that may start a question now, in the order of their turns
	running    int
	waiting    int // places in queues
}

// flight is a question on its way, and who waits for the answer.
type flight struct {
	waiters []*resolution
	queues  []string // domains in whose queues it was put
	domain  *domain  // that it counts for; nil until it has started
}

// domain has the questions that the URIs below it led to.
type domain struct {
	name    string
	queue   []question
	running int
	listed  bool // in turns
}

// domainOf is what the hosts of one owner have in common: the last two labels. Where these are a registry's, as co.uk,
// several owners share what is one's elsewhere.
func domainOf(host string) string {
	if dot := strings.LastIndexByte(host, '.'); dot > 0 {
		return host[strings.LastIndexByte(host[:dot], '.')+1:]
	}
	return host
}

// join has r wait for the answer to q. known says that somebody waits for it already, ok is false when too many questions
// wait. Who waits for a question that another domain led to as well does not wait for that one's turn.
func (f *flights) join(r *resolution, q question) (known, ok bool) {
	name := domainOf(r.target.Host)
	fl, known := f.byQuestion[q]
	if !known || fl.domain == nil && !slices.Contains(fl.queues, name) {
		if !f.line(name, q) && !known {
			return false, false
		}
		if !known {
			fl = &flight{}
			f.add(q, fl)
		}
		fl.queues = append(fl.queues, name)
	}
	fl.waiters = append(fl.waiters, r)
	return known, true
}

func (f *flights) add(q question, fl *flight) {
	if f.byQuestion == nil {
		f.byQuestion = make(map[question]*flight)
	}
	f.byQuestion[q] = fl
}

// line puts a question into the queue of a domain, when there is room.
func (f *flights) line(name string, q question) bool {
	d := f.domains[name]
	if f.waiting >= maxWaiting || d != nil && len(d.queue) >= domainWaits {
		return false
	}
	if d == nil {
		d = &domain{name: name}
		if f.domains == nil {
			f.domains = make(map[string]*domain)
		}
		f.domains[name] = d
	}
	d.queue = append(d.queue, q)
	f.waiting++
	f.list(d)
	return true
}

// list gives a domain a turn, when it can use one, and forgets one that has nothing left.
func (f *flights) list(d *domain) {
	switch {
	case len(d.queue) == 0 && d.running == 0:
		delete(f.domains, d.name)
	case len(d.queue) > 0 && d.running < domainFlies && !d.listed:
		d.listed = true
		f.turns = append(f.turns, d)
	}
}

// next gives the question to start, if one may.
func (f *flights) next() (q question, ok bool) {
	for f.running < maxFlights && len(f.turns) > 0 {
		d := f.turns[0]
		f.turns = f.turns[1:]
		d.listed = false
		q, d.queue = d.queue[0], d.queue[1:]
		f.waiting--
		fl := f.byQuestion[q]
		starts := fl != nil && fl.domain == nil // else another domain's turn came first
		if starts {
			fl.domain = d
			d.running++
			f.running++
		}
		f.list(d)
		if starts {
			return q, true
		}
	}
	return question{}, false
}

// land ends a flight, and gives who waited for it.
func (f *flights) land(q question) []*resolution {
	fl := f.byQuestion[q]
	if fl == nil || fl.domain == nil {
		return nil
	}
	delete(f.byQuestion, q)
	f.running--
	fl.domain.running--
	f.list(fl.domain)
	return fl.waiters
}

// close forgets all.
func (f *flights) close() { *f = flights{} }
