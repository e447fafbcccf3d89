package many

import (
	"fmt"
	"time"
)

// Health are figures of the process that plays, which only grow. Those of a Report are the growth while it lasted.
type Health struct {
	KernelDrops uint64        // datagrams that found our receive buffers full (transport.Counters)
	SendErrors  uint64        // messages that could not be sent
	Unreached   uint64        // datagrams of which ICMP told that nobody took them
	CPU         time.Duration // processor time that this process used; 0 unknown
	Cores       int           // that it may use; no growth; 0 unknown
	Lost        uint64        // packets that our own recording left out
}

func (h Health) since(before Health) Health {
	h.KernelDrops -= min(before.KernelDrops, h.KernelDrops)
	h.SendErrors -= min(before.SendErrors, h.SendErrors)
	h.Unreached -= min(before.Unreached, h.Unreached)
	h.CPU -= min(before.CPU, h.CPU)
	h.Lost -= min(before.Lost, h.Lost)
	return h
}

// Limit says what kept a load from being faster.
type Limit uint8

// What can be the limit.
const (
	LimitNone      Limit = iota // the rate was reached and all plays were clean
	LimitGenerator              // this process or its machine
	LimitServer                 // whom it plays with
	LimitUnclear                // both show signs, or nothing explains what is missing
)

// String is "none", "generator", "server" or "unclear".
func (l Limit) String() string {
	return [...]string{"none", "generator", "server", "unclear"}[min(l, LimitUnclear)]
}

// From where on a figure is a sign.
const (
	// lagLimit is when the loop was late. Go's timers and a busy scheduler are late by 1 ms; at 10 ms a response that came in
	// time is seen late, and T1 (500 ms) begins to matter after fifty of these.
	lagLimit = 10 * time.Millisecond
	// cpuLimit is the share of all cores that a process can hardly exceed while the kernel works for it, too.
	cpuLimit = 0.9
	// rateReached is the share of the rate from where on it was reached: the last of the plays of a second may begin in the next.
	rateReached = 0.97
	// againPart is the share of plays that may send a message again by chance, and againMore how many times what is natural.
	againPart = 0.005
	againMore = 1.5
	// fewPlays says nothing about a rate.
	fewPlays = 10
)

// Limit judges who was the limit, with the reasons, one sentence each without a period.
func (r *Report) Limit() (Limit, []string) {
	generator, server := r.generator(), r.server()
	reasons := append(append([]string(nil), generator...), server...)
	switch {
	case len(generator) > 0 && len(server) > 0:
		return LimitUnclear, reasons
	case len(generator) > 0:
		return LimitGenerator, reasons
	case len(server) > 0:
		return LimitServer, reasons
	case r.short():
		return LimitUnclear, []string{fmt.Sprintf("%.1f of %.1f plays a second were begun, and nothing tells why", r.Rate(), r.Asked)}
	}
	if r.Clean < r.Started {
		return LimitNone, []string{"the rate was reached, and no play went otherwise than recorded"}
	}
	return LimitNone, []string{"the rate was reached, and every play was clean"}
}

// short reports whether the rate was missed.
func (r *Report) short() bool { return r.Started >= fewPlays && r.Rate() < rateReached*r.Asked }

// again reports whether more was sent again than is natural.
func (r *Report) again() bool { return r.more(float64(r.Started)) }

// more reports whether that is known already of so many plays.
func (r *Report) more(plays float64) bool {
	return float64(r.Retransmissions) > againMore*r.Natural*float64(r.Started)+againPart*plays
}

// generator are the signs that this side was the limit.
func (r *Report) generator() []string {
	var all []string
	if p := r.Lag.Percentile(99); p > lagLimit {
		all = append(all, fmt.Sprintf("our loop came %v late (p99 of %d looks)", p.Round(100*time.Microsecond), r.Lag.N()))
	}
	if n := r.Health.KernelDrops; n > 0 {
		all = append(all, fmt.Sprintf("%d datagrams found our receive buffers full", n))
	}
	if n := r.Health.SendErrors; n > 0 {
		all = append(all, fmt.Sprintf("%d messages could not be sent", n))
	}
	if s := r.CPUShare(); s >= cpuLimit {
		all = append(all, fmt.Sprintf("we used %.0f %% of %d cores", 100*s, r.Health.Cores))
	}
	return all
}

// CPUShare is the share of all cores that the process used, 0 to 1; 0 when it is not known.
func (r *Report) CPUShare() float64 {
	lasted := r.Lasted()
	if lasted <= 0 || r.Health.Cores <= 0 {
		return 0
	}
	return r.Health.CPU.Seconds() / lasted.Seconds() / float64(r.Health.Cores)
}

// server are the signs that the other side was the limit.
func (r *Report) server() []string {
	var all []string
	if n := r.Diverged + r.Failed; n > 0 {
		all = append(all, fmt.Sprintf("%d of %d plays went otherwise than recorded", n, r.Ended))
	}
	if r.again() {
		all = append(all, fmt.Sprintf("%d messages had to be sent again: some were lost, or answered too late", r.Retransmissions))
	}
	if n := r.Health.Unreached; n > 0 {
		all = append(all, fmt.Sprintf("%d datagrams came back: nobody listened there", n))
	}
	if r.Late > 0 {
		all = append(all, fmt.Sprintf("%d plays waited since %d were going on: answers are too slow for this rate, or --concurrent is too low",
			r.Late, r.Peak))
	}
	return all
}
