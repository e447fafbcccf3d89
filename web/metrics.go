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
	data     *Data
	streams  func() int64 // open event streams; nil where there are none
	figures  func(ctx context.Context) (stats.Result, error)
	registry *prometheus.Registry
	requests *prometheus.CounterVec
	desc     map[string]*prometheus.Desc
}

func newMetrics(
	data *Data, version string, streams func() int64, figures func(ctx context.Context) (stats.Result, error),
) *metrics {
	m := &metrics{
		data: data, streams: streams, figures: figures, registry: prometheus.NewRegistry(), desc: map[string]*prometheus.Desc{},
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "sipscope_http_requests_total", Help: "HTTP requests answered, by route and class of the status.",
		}, []string{"route", "class"}),
	}
	for _, d := range descriptions() {
		m.desc[d.name] = prometheus.NewDesc("sipscope_"+d.name, d.help, d.labels, nil)
	}
	info := prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "sipscope_build_info", Help: "The program; the value is 1.",
	}, []string{"version"})
	info.WithLabelValues(version).Set(1)
	for _, c := range []prometheus.Collector{
		m, m.requests, info, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	} {
		_ = m.registry.Register(c) // fails for a name that is there twice: a test scrapes all of them
	}
	return m
}

// description is a figure's name, without the program's, and what it means.
type description struct {
	name, help string
	labels     []string
}

func descriptions() []description {
	return []description{
		{"packets_total", "Packets read, by what became of them.", []string{"outcome"}},
		{"sip_messages_total", "SIP messages decoded.", nil},
		{"sip_requests_total", "SIP requests, by method.", []string{"method"}},
		{"sip_responses_total", "SIP responses, by class of the status.", []string{"class"}},
		{"calls", "Calls kept, by state.", []string{"state"}},
		{"rtp_streams_total", "RTP streams found.", nil},
		{"rtp_streams", "RTP streams kept.", nil},
		{"rtp_packets_total", "RTP packets of streams.", nil},
		{"rtcp_packets_total", "RTCP packets.", nil},
		{"rtp_missing_packets_total", "RTP packets that never came, by gaps of the sequence.", nil},
		{"rtp_duplicate_packets_total", "RTP packets that came twice.", nil},
		{"rtp_reordered_packets_total", "RTP packets that came late.", nil},
		{"rtp_mos_estimated", "Estimated MOS (ITU-T G.107) of the RTP streams kept.", nil},
		{"rtp_jitter_seconds", "Largest interarrival jitter (RFC 3550) of the RTP streams kept.", nil},
		{"evicted_total", "What limits of memory ended.", []string{"what"}},
		{"reassembly_losses_total", "What reassembly could not do: holes, incomplete datagrams, overlaps.", []string{"what"}},
		{"kernel_dropped_packets_total", "Packets that the kernel dropped before they were read.", nil},
		{"dropped_packets_total", "Packets lost, by place: kernel, queue, spool (decoded, but not kept on disk).", []string{"place"}},
		{"source_packets_total", "Packets that an interface or a listener gave.", []string{"source"}},
		{"source_rejected_total", "What a listener was sent and could not take.", []string{"source"}},
		{"source_up", "1 while the interface is there and up, or the listener listens.", []string{"source"}},
		{"filtered_packets_total", "Packets that a filter left out.", nil},
		{"spool_bytes", "Bytes on disk (used), that may be (limit), that wait for the disk (waiting).", []string{"what"}},
		{"spool_packets", "Packets on disk.", nil},
		{"spool_gone_packets_total", "Packets that newer ones have overwritten.", nil},
		{"pipeline_batches", "Batches of packets under way, and how many there may be.", []string{"what"}},
		{"pipeline_seconds_total", "Time spent, by step; over all workers.", []string{"step"}},
		{"packet_time_seconds", "Time of the packets reached, since 1970-01-01 UTC.", nil},
		{"event_streams", "Open event streams.", nil},
		{"reading", "1 while the capture is being read.", nil},
	}
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
	for _, d := range m.desc {
		ch <- d
	}
}

// scrape is one collection.
type scrape struct {
	m  *metrics
	ch chan<- prometheus.Metric
}

func (s *scrape) count(name string, v uint64, labels ...string) {
	if c, err := prometheus.NewConstMetric(s.m.desc[name], prometheus.CounterValue, float64(v), labels...); err == nil {
		s.ch <- c
	}
}

func (s *scrape) gauge(name string, v float64, labels ...string) {
	if g, err := prometheus.NewConstMetric(s.m.desc[name], prometheus.GaugeValue, v, labels...); err == nil {
		s.ch <- g
	}
}

func (s *scrape) seconds(name string, ns int64, labels ...string) {
	if c, err := prometheus.NewConstMetric(s.m.desc[name], prometheus.CounterValue, float64(ns)/1e9, labels...); err == nil {
		s.ch <- c
	}
}

// Collect implements prometheus.Collector.
func (m *metrics) Collect(ch chan<- prometheus.Metric) {
	s := &scrape{m, ch}
	s.losses()
	s.media()
	s.live()
	s.load()
	if m.streams != nil {
		s.gauge("event_streams", float64(m.streams()))
	}
	ctx, cancel := context.WithTimeout(context.Background(), figuresWait)
	defer cancel()
	result, err := m.figures(ctx) // they may be some seconds old
	if err != nil {
		return
	}
	for method, n := range byMethod(result.Requests) {
		s.count("sip_requests_total", n, method)
	}
	for class, n := range result.Classes {
		s.count("sip_responses_total", n, class)
	}
	for state, n := range byState(&result.States) {
		s.gauge("calls", float64(n), state)
	}
	if r := result.RTP; r != nil {
		s.summary("rtp_mos_estimated", r.MOS, 1)
		s.summary("rtp_jitter_seconds", r.Jitter, 1e-3)
	}
}

// summary gives a distribution by its quantiles, times unit.
func (s *scrape) summary(name string, d *stats.Distribution, unit float64) {
	if d == nil {
		return
	}
	quantiles := map[float64]float64{0.5: d.P50 * unit, 0.9: d.P90 * unit, 0.99: d.P99 * unit}
	m, err := prometheus.NewConstSummary(s.m.desc[name], d.Count, d.Mean*float64(d.Count)*unit, quantiles)
	if err == nil {
		s.ch <- m
	}
}

// media tells of RTP.
func (s *scrape) media() {
	c := s.m.data.Board.MediaCounts()
	s.count("rtp_streams_total", c.Streams)
	s.gauge("rtp_streams", float64(c.Live))
	s.count("rtp_packets_total", c.Packets)
	s.count("rtcp_packets_total", c.RTCP)
	s.count("rtp_missing_packets_total", c.Missing)
	s.count("rtp_duplicate_packets_total", c.Duplicates)
	s.count("rtp_reordered_packets_total", c.Reordered)
	s.count("evicted_total", c.Evicted, "rtp_streams")
}

// losses tells what became of packets, and what was given up.
func (s *scrape) losses() {
	acct, limited := s.m.data.Board.Accounting()
	acct.Each(func(outcome string, n uint64) { s.count("packets_total", n, outcome) })
	s.count("sip_messages_total", acct.Messages)
	s.count("evicted_total", limited.EvictedCalls, "calls")
	s.count("evicted_total", limited.ExpiredCalls, "calls_too_old")
	s.count("evicted_total", limited.EvictedMessages, "messages")
	s.count("evicted_total", limited.UnkeptMessages, "messages_unkept")
	s.count("evicted_total", limited.UnkeptGaps, "gaps_unkept")
	s.count("evicted_total", acct.Streams.Evicted, "streams")
	s.count("evicted_total", acct.Streams.Fragments, "fragments")
	s.count("evicted_total", limited.EvictedLanes, "media_lanes")
	s.count("evicted_total", limited.UnprovedStreams, "rtp_streams_unproved")
	s.count("evicted_total", limited.ForgottenMedia, "media_addresses")
	s.count("evicted_total", limited.Connections, "tls_connections")
	s.count("evicted_total", acct.Streams.Secrets, "tls_secrets")
	s.count("evicted_total", acct.Streams.Unawaited, "tls_waiting")
	s.count("evicted_total", acct.Streams.Unkept, "texts_unkept")
	s.count("reassembly_losses_total", acct.Streams.Gaps, "stream_gaps")
	s.count("reassembly_losses_total", acct.Streams.Datagrams, "incomplete_datagrams")
	s.count("reassembly_losses_total", acct.Streams.Overlaps, "overlaps")
}

// live tells what live sources say of themselves.
func (s *scrape) live() {
	if s.m.data.Status == nil {
		return
	}
	st := s.m.data.Status()
	kernel, queue := st.Dropped()
	s.count("kernel_dropped_packets_total", kernel)
	s.count("dropped_packets_total", kernel, "kernel")
	s.count("dropped_packets_total", queue, "queue")
	s.count("filtered_packets_total", st.Left)
	for i := range st.Sources {
		src := &st.Sources[i]
		s.count("source_packets_total", src.Received, src.Name)
		s.count("source_rejected_total", src.Rejected, src.Name)
		up := 0.0
		if src.Up {
			up = 1
		}
		s.gauge("source_up", up, src.Name)
	}
	if p := st.Spool; p != nil {
		s.count("dropped_packets_total", p.Dropped, "spool")
		s.gauge("spool_bytes", float64(p.Size), "used")
		s.gauge("spool_bytes", float64(p.Limit), "limit")
		s.gauge("spool_bytes", float64(p.Waiting), "waiting")
		s.gauge("spool_packets", float64(p.Kept))
		s.count("spool_gone_packets_total", p.Gone)
	}
}

// load tells how busy the pipeline is.
func (s *scrape) load() {
	board := s.m.data.Board
	l := board.Load()
	s.gauge("pipeline_batches", float64(l.Waiting), "waiting")
	s.gauge("pipeline_batches", float64(l.Jobs), "most")
	s.seconds("pipeline_seconds_total", l.Decoding, "decode")
	s.seconds("pipeline_seconds_total", l.Tracking, "track")
	s.gauge("packet_time_seconds", float64(l.Now)/1e9)
	reading := 1.0
	if board.Done() {
		reading = 0
	}
	s.gauge("reading", reading)
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
