package main

import (
	"fmt"
	"strings"
	"time"

	"sipscope/element/ua"
	"sipscope/element/ua/load"
)

// loadText writes a load's figures for a person.
func loadText(r *load.Report) string {
	var b strings.Builder
	lasted := time.Duration(r.Finished - r.Began)
	if r.Finished == 0 {
		lasted = 0
	}
	rate := 0.0
	if lasted > 0 {
		rate = float64(r.Started) / lasted.Seconds()
	}
	fmt.Fprintf(&b, "%d calls in %s (%.1f a second), %d answered, %d succeeded, at most %d at a time",
		r.Started, lasted.Round(time.Millisecond), rate, r.Answered, r.Succeeded, r.Peak)
	if r.Late > 0 {
		fmt.Fprintf(&b, ", %d began late: --concurrent was reached", r.Late)
	}
	b.WriteString("\n\n            median       p90       p99     p99.9       max\n")
	for _, row := range [...]struct {
		name string
		h    *load.Histogram
	}{{"ringing", &r.Ring}, {"answered", &r.Answer}, {"ended", &r.Whole}} {
		if row.h.N() == 0 {
			continue
		}
		fmt.Fprintf(&b, "%-9s", row.name)
		for _, p := range [...]float64{50, 90, 99, 99.9, 100} {
			fmt.Fprintf(&b, " %9s", brief(row.h.Percentile(p)))
		}
		b.WriteByte('\n')
	}
	failures := failures(r)
	if len(failures) == 0 {
		return b.String()
	}
	b.WriteString("\nfailed\n")
	for _, f := range failures {
		fmt.Fprintf(&b, "%9d  %s\n", f.count, f.why)
	}
	return b.String()
}

// brief is a time with three digits.
func brief(d time.Duration) string {
	switch {
	case d >= time.Second:
		return fmt.Sprintf("%.2f s", d.Seconds())
	case d >= time.Millisecond:
		return fmt.Sprintf("%.3g ms", float64(d)/1e6)
	default:
		return fmt.Sprintf("%.3g us", float64(d)/1e3)
	}
}

// failure is a row of the table.
type failure struct {
	why   string
	count uint64
}

// failures are the calls that did not succeed: refusals by status, the rest by cause.
func failures(r *load.Report) []failure {
	var all []failure
	for _, s := range r.Statuses {
		all = append(all, failure{fmt.Sprintf("status %d", s.Code), s.Count})
	}
	for c := ua.Cause(1); int(c) < len(r.Causes); c++ {
		if n := r.Causes[c]; n > 0 && c != ua.CauseRejected {
			all = append(all, failure{c.String(), n})
		}
	}
	return all
}

// loadJSON is a load's figures for a program; times are milliseconds.
func loadJSON(r *load.Report) any {
	type times struct {
		Count uint64  `json:"count"`
		P50   float64 `json:"p50_ms"`
		P90   float64 `json:"p90_ms"`
		P99   float64 `json:"p99_ms"`
		P999  float64 `json:"p999_ms"`
		Max   float64 `json:"max_ms"`
	}
	of := func(h *load.Histogram) times {
		ms := func(p float64) float64 { return float64(h.Percentile(p)) / 1e6 }
		return times{h.N(), ms(50), ms(90), ms(99), ms(99.9), ms(100)}
	}
	failed := map[string]uint64{}
	for _, f := range failures(r) {
		failed[f.why] = f.count
	}
	return struct {
		Event     string            `json:"event"`
		Started   uint64            `json:"started"`
		Answered  uint64            `json:"answered"`
		Succeeded uint64            `json:"succeeded"`
		Late      uint64            `json:"late"`
		Peak      int               `json:"peak"`
		Seconds   float64           `json:"seconds"`
		Failed    map[string]uint64 `json:"failed"`
		Ringing   times             `json:"ringing"`
		Answer    times             `json:"answer"`
		Ended     times             `json:"ended"`
	}{
		"load", r.Started, r.Answered, r.Succeeded, r.Late, r.Peak, float64(r.Finished-r.Began) / 1e9, failed, of(&r.Ring),
		of(&r.Answer), of(&r.Whole),
	}
}
