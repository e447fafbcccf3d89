package web

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"sipscope/correlate/stats"
)

// figuresWait is how long a scrape waits for figures over all calls; without them it has the rest.
const figuresWait = 5 * time.Second

// metrics are the figures for Prometheus, of the first capture and of the server. Labels have few values, whatever the
// wire carried.
type metrics struct {
	srv      *Server
	registry *prometheus.Registry
	requests *prometheus.CounterVec

	packets, messages, methods, classes, calls, evicted *prometheus.Desc
	streams, drops, open, reading                       *prometheus.Desc
}

func newMetrics(s *Server) *metrics {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("sipscope_"+name, help, labels, nil)
	}
	m := &metrics{
		srv: s, registry: prometheus.NewRegistry(),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "sipscope_http_requests_total", Help: "HTTP requests answered, by route and class of the status.",
		}, []string{"route", "class"}),
		packets:  desc("packets_total", "Packets read, by what became of them.", "outcome"),
		messages: desc("sip_messages_total", "SIP messages decoded."),
		methods:  desc("sip_requests_total", "SIP requests, by method.", "method"),
		classes:  desc("sip_responses_total", "SIP responses, by class of the status.", "class"),
		calls:    desc("calls", "Calls kept, by state.", "state"),
		evicted:  desc("evicted_total", "What limits of memory ended.", "what"),
		streams:  desc("reassembly_losses_total", "What reassembly could not do: holes, incomplete datagrams, overlaps.", "what"),
		drops:    desc("kernel_dropped_packets_total", "Packets that the kernel dropped before they were read."),
		open:     desc("event_streams", "Open event streams."),
		reading:  desc("reading", "1 while the capture is being read."),
	}
	info := prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "sipscope_build_info", Help: "The program; the value is 1.",
	}, []string{"version"})
	info.WithLabelValues(s.cfg.Version).Set(1)
	for _, c := range []prometheus.Collector{
		m, m.requests, info, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	} {
		_ = m.registry.Register(c) // fails for a name that is there twice: a test scrapes all of them
	}
	return m
}

func (m *metrics) handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{
		ErrorHandling: promhttp.ContinueOnError, MaxRequestsInFlight: 4,
	})
}

// answered counts a request. A status of 0 is an answer that was given up.
func (m *metrics) answered(route string, status int) {
	class := "none"
	if status != 0 {
		class = strconv.Itoa(status/100) + "xx"
	}
	m.requests.WithLabelValues(route, class).Inc()
}

// Describe implements prometheus.Collector.
func (m *metrics) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		m.packets, m.messages, m.methods, m.classes, m.calls, m.evicted, m.streams, m.drops, m.open, m.reading,
	} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (m *metrics) Collect(ch chan<- prometheus.Metric) {
	count := func(d *prometheus.Desc, v uint64, labels ...string) {
		if c, err := prometheus.NewConstMetric(d, prometheus.CounterValue, float64(v), labels...); err == nil {
			ch <- c
		}
	}
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		if g, err := prometheus.NewConstMetric(d, prometheus.GaugeValue, v, labels...); err == nil {
			ch <- g
		}
	}
	data := &m.srv.cfg.Data
	acct, limited := data.Board.Accounting()
	acct.Each(func(outcome string, n uint64) { count(m.packets, n, outcome) })
	count(m.messages, acct.Messages)
	count(m.evicted, limited.EvictedCalls, "calls")
	count(m.evicted, limited.EvictedMessages, "messages")
	count(m.evicted, limited.UnkeptMessages, "messages_unkept")
	count(m.evicted, limited.UnkeptGaps, "gaps_unkept")
	count(m.evicted, acct.Streams.Evicted, "streams")
	count(m.streams, acct.Streams.Gaps, "stream_gaps")
	count(m.streams, acct.Streams.Datagrams, "incomplete_datagrams")
	count(m.streams, acct.Streams.Overlaps, "overlaps")
	if data.Drops != nil {
		if n, known := data.Drops(); known {
			count(m.drops, n)
		}
	}
	gauge(m.open, float64(m.srv.streams.Load()))
	reading := 1.0
	if data.Board.Done() {
		reading = 0
	}
	gauge(m.reading, reading)
	if result, ok := m.figures(); ok {
		for method, n := range byMethod(result.Requests) {
			count(m.methods, n, method)
		}
		for class, n := range result.Classes {
			count(m.classes, n, class)
		}
		for state, n := range byState(&result.States) {
			gauge(m.calls, float64(n), state)
		}
	}
}

// figures gives the figures over all calls, which may be some seconds old; false when they take too long.
func (m *metrics) figures() (stats.Result, bool) {
	ctx, cancel := context.WithTimeout(context.Background(), figuresWait)
	defer cancel()
	result, err := m.srv.main.figures.get(ctx, struct{}{})
	return result, err == nil
}

// byMethod counts requests by the methods that RFCs define; whoever sends packets can think of others without end.
func byMethod(requests map[string]uint64) map[string]uint64 {
	out := map[string]uint64{}
	for method, n := range requests {
		switch method {
		case "INVITE", "ACK", "BYE", "CANCEL", "REGISTER", "OPTIONS", "PRACK", "SUBSCRIBE", "NOTIFY", "PUBLISH", "INFO", "REFER",
			"MESSAGE", "UPDATE":
		default:
			method = "other"
		}
		out[method] += n
	}
	return out
}

// byState counts all calls by state.
func byState(states *stats.States) map[string]uint64 {
	out := map[string]uint64{}
	for _, some := range []map[string]uint64{states.Invite, states.Other} {
		for state, n := range some {
			out[state] += n
		}
	}
	return out
}
