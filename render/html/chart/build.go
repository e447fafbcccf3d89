package chart

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"sipscope/correlate/stats"
	"sipscope/decode/sip"
	"sipscope/render/ladder"
)

// How many names a chart shows; the rest is one bar.
const (
	maxStatuses = 20
	maxNames    = 15
)

// others is the label of the rest.
const others = "others"

// callsOverTime shows when calls began and how they went.
func callsOverTime(_ *stats.Result, calls *Calls) (Chart, error) {
	t := &calls.time
	if t.n == 0 {
		return Chart{}, nil
	}
	c := Chart{
		ID: "calls-over-time", Title: "Calls over time", Height: timeHeight,
		Columns: []string{"From (UTC)", "Calls"}, Numeric: []bool{false, true},
	}
	var total [classes]uint64
	labels := make([]string, t.n)
	peak, peakAt := uint64(0), ""
	for i, counts := range t.bins[:t.n] {
		short, whole := clock(t.start(i), t.width())
		labels[i] = short
		var sum uint64
		row := []string{whole, ""}
		for k, n := range counts {
			total[k] += n
			sum += n
			row = append(row, thousands(n))
		}
		row[1] = thousands(sum)
		c.Rows = append(c.Rows, row)
		if sum > peak {
			peak, peakAt = sum, whole
		}
	}
	var stacks []stack
	for k := range class(classes) {
		c.Columns, c.Numeric = append(c.Columns, k.String()), append(c.Numeric, true)
		if total[k] == 0 {
			continue
		}
		s := stack{class: k}
		for _, counts := range t.bins[:t.n] {
			s.values = append(s.values, counts[k])
		}
		stacks = append(stacks, s)
	}
	lost := "none failed"
	if n := total[failed]; n > 0 {
		lost = fmt.Sprintf("%s failed (%s)", thousands(n), share(n, calls.total))
	}
	if t.n == 1 {
		c.Height = onceHeight
		c.About = fmt.Sprintf("%s began within %s from %s UTC; %s.",
			plural(calls.total, "call"), interval(t.width()), peakAt, lost)
	} else {
		c.About = fmt.Sprintf("%s by their beginning, in steps of %s: the most, %s, from %s UTC; %s.",
			plural(calls.total, "call"), interval(t.width()), thousands(peak), peakAt, lost)
	}
	var err error
	c.Option, err = stackOption(c.ID, labels, stacks)
	return c, err
}

func inviteStates(r *stats.Result, _ *Calls) (Chart, error) {
	return states(r.States.Invite, "call-states", "How INVITE calls ended", "INVITE calls")
}

func otherStates(r *stats.Result, _ *Calls) (Chart, error) {
	return states(r.States.Other, "other-states", "Registrations, subscriptions and other requests", "Other calls")
}

// states shows calls by state, each in the colour of its class, the most frequent first.
func states(by map[string]uint64, id, title, unit string) (Chart, error) {
	list := ranked(by)
	if len(list) == 0 {
		return Chart{}, nil
	}
	b := names{id: id, title: title, heads: []string{"State", unit}, total: sum(list)}
	for _, s := range list {
		name := stateName(s.Name)
		b.add(row{label(name), s.Count, stateColour(s.Name)}, cell(name))
	}
	b.most(list, "call", stateName)
	return b.chart()
}

// responses shows responses by status, in the order of the numbers.
func responses(r *stats.Result, _ *Calls) (Chart, error) {
	list := ranked(r.Responses)
	rest := r.Overflow.Statuses
	b := names{
		id: "responses", title: "Responses by status",
		heads: []string{"Status", "Reason phrase (IANA)", "Responses"}, total: sum(list) + rest,
	}
	if b.total == 0 {
		return Chart{}, nil
	}
	b.most(list, "response", statusName)
	list, rest = cut(list, maxStatuses, rest)
	slices.SortFunc(list, func(a, b stats.Ranked) int {
		return cmp.Or(cmp.Compare(status(a.Name), status(b.Name)), cmp.Compare(a.Name, b.Name))
	})
	for _, s := range list {
		b.add(row{label(statusName(s.Name)), s.Count, statusColour(status(s.Name))},
			cell(s.Name), sip.ReasonPhrase(status(s.Name)))
	}
	if rest > 0 {
		b.add(row{others, rest, colourNeutral}, others, "")
	}
	return b.chart()
}

// methods shows requests by method, the most frequent first.
func methods(r *stats.Result, _ *Calls) (Chart, error) {
	b := names{id: "methods", title: "Requests by method", heads: []string{"Method", "Requests"}}
	return b.ranking(r.Requests, r.Overflow.Methods, "request")
}

// transports shows messages by transport, when there are several.
func transports(r *stats.Result, _ *Calls) (Chart, error) {
	if len(ranked(r.Transports)) < 2 {
		return Chart{}, nil
	}
	b := names{id: "transports", title: "Messages by transport", heads: []string{"Transport", "Messages"}}
	return b.ranking(r.Transports, 0, "message")
}

// hosts shows the addresses that sent and received most. A message counts for both of its ends.
func hosts(r *stats.Result, _ *Calls) (Chart, error) {
	if len(r.Hosts) == 0 {
		return Chart{}, nil
	}
	list := slices.Clone(r.Hosts)
	sortRanked(list)
	list, _ = cut(list, maxNames, 0)
	b := names{id: "hosts", title: "Busiest hosts", heads: []string{"Host", "Messages sent or received"}}
	for _, h := range list {
		b.add(row{middle(h.Name), h.Count, colourNeutral}, cell(h.Name))
	}
	b.about = fmt.Sprintf("%s sent or received the most: %s.", cell(list[0].Name), plural(list[0].Count, "message"))
	return b.chart()
}

func postDialDelay(r *stats.Result, calls *Calls) (Chart, error) {
	return delays(&calls.pdd, r.PDD, "post-dial-delay", "Post-dial delay", "From the INVITE to the first 18x")
}

func setupTime(r *stats.Result, calls *Calls) (Chart, error) {
	return delays(&calls.setup, r.Setup, "setup-time", "Setup time", "From the INVITE to the 2xx")
}

// delays shows a histogram from its first to its last bin with a call, from the shortest down.
func delays(h *histogram, d *stats.Distribution, id, title, what string) (Chart, error) {
	if h.total == 0 {
		return Chart{}, nil
	}
	b := names{id: id, title: title, heads: []string{"Delay", "Calls"}, total: h.total}
	first, last := 0, len(h.bins)-1
	for h.bins[first] == 0 {
		first++
	}
	for h.bins[last] == 0 {
		last--
	}
	for i := first; i <= last; i++ {
		b.add(row{stepName(i), h.bins[i], colourNeutral}, stepName(i))
	}
	b.about = what + ": " + plural(h.total, "call")
	switch {
	case d == nil:
	case d.Count == 1:
		b.about += ", " + milliseconds(d.P50)
	default:
		const format = ", half of them within %s (p50), 90" + percent + " within %s (p90), 99" + percent + " within %s (p99)"
		b.about += fmt.Sprintf(format, milliseconds(d.P50), milliseconds(d.P90), milliseconds(d.P99))
	}
	b.about += "."
	return b.chart()
}

// names collects a chart of rows and its table. Cells are the name's, then come the count and, with a total, the share.
type names struct {
	id, title, about string
	heads            []string
	total            uint64 // of the counts; 0 for a table without shares
	rows             []row
	table            [][]string
}

func (b *names) add(r row, cells ...string) {
	cells = append(cells, thousands(r.value))
	if b.total > 0 {
		cells = append(cells, share(r.value, b.total))
	}
	b.rows, b.table = append(b.rows, r), append(b.table, cells)
}

// most says what the first of a list is.
func (b *names) most(list []stats.Ranked, unit string, name func(string) string) {
	if len(list) == 0 {
		b.about = plural(b.total, unit) + " of kinds that were not counted one by one."
		return
	}
	b.about = fmt.Sprintf("Most often %s: %s of %s (%s).", cell(name(list[0].Name)), thousands(list[0].Count),
		plural(b.total, unit), share(list[0].Count, b.total))
}

// ranking is a chart of counts by name, with what was not counted by name.
func (b *names) ranking(by map[string]uint64, rest uint64, unit string) (Chart, error) {
	list := ranked(by)
	b.total = sum(list) + rest
	if b.total == 0 {
		return Chart{}, nil
	}
	b.most(list, unit, strings.Clone)
	list, rest = cut(list, maxNames, rest)
	for _, n := range list {
		b.add(row{label(n.Name), n.Count, colourNeutral}, cell(n.Name))
	}
	if rest > 0 {
		b.add(row{others, rest, colourNeutral}, others)
	}
	return b.chart()
}

// chart is the picture and the table.
func (b *names) chart() (Chart, error) {
	c := Chart{
		ID: b.id, Title: b.title, About: b.about, Height: rowsHeight(len(b.rows)), Rows: b.table, Columns: b.heads,
	}
	if b.total > 0 {
		c.Columns = append(slices.Clip(c.Columns), "Share")
	}
	c.Numeric = make([]bool, len(c.Columns))
	for i := len(b.heads) - 1; i < len(c.Columns); i++ {
		c.Numeric[i] = true
	}
	var err error
	c.Option, err = rowsOption(b.id, b.heads[len(b.heads)-1], b.rows)
	return c, err
}

// ranked lists what occurred, the most frequent first.
func ranked(by map[string]uint64) []stats.Ranked {
	list := make([]stats.Ranked, 0, len(by))
	for _, name := range slices.Sorted(maps.Keys(by)) {
		if by[name] > 0 {
			list = append(list, stats.Ranked{Name: name, Count: by[name]})
		}
	}
	sortRanked(list)
	return list
}

func sortRanked(list []stats.Ranked) {
	slices.SortFunc(list, func(a, b stats.Ranked) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Name, b.Name))
	})
}

// cut keeps the first n of a list and adds the counts of the others to rest.
func cut(list []stats.Ranked, n int, rest uint64) ([]stats.Ranked, uint64) {
	if len(list) <= n {
		return list, rest
	}
	return list[:n:n], rest + sum(list[n:])
}

func sum(list []stats.Ranked) (n uint64) {
	for _, r := range list {
		n += r.Count
	}
	return n
}

// status is the number of a key of stats.Result.Responses; -1 for a key that is none.
func status(key string) int {
	if n, err := strconv.ParseUint(key, 10, 16); err == nil {
		return int(n)
	}
	return -1
}

// statusName is a status with its reason phrase: that of the RFCs, for the wire's differs from message to message.
func statusName(key string) string {
	if phrase := sip.ReasonPhrase(status(key)); phrase != "" {
		return key + " " + phrase
	}
	return key
}

// stateName writes a state as people do: "timed out".
func stateName(name string) string { return strings.ReplaceAll(name, "_", " ") }

func milliseconds(ms float64) string { return ladder.Duration(int64(ms * float64(time.Millisecond))) }
