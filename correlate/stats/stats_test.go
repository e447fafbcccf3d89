package stats

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sipscope/correlate"
	"sipscope/decode"
	"sipscope/decode/frame"
	"sipscope/decode/sip"
)

// epoch is 2024-05-01 12:00:00 UTC.
const epoch = int64(1714564800e9)

func host(i int, port uint16) frame.Endpoint {
	var ip [4]byte
	binary.BigEndian.PutUint32(ip[:], 0x0a000000+uint32(i))
	return frame.Endpoint4(ip[:], port)
}

func request(method string) sip.Message {
	return sip.Message{
		Raw: []byte(method + " sip:a SIP/2.0"), Request: true, MethodID: sip.LookupMethod([]byte(method)),
		Method: sip.Span{Len: uint32(len(method))},
	}
}

func response(status uint16) sip.Message { return sip.Message{Status: status} }

func message(at int64, m sip.Message) *decode.Message {
	return &decode.Message{Time: at, Src: host(1, 5060), Dst: host(2, 5060), Transport: decode.UDP, SIP: m}
}

func TestMessages(t *testing.T) {
	t.Parallel()
	var c Collector
	second := int64(time.Second)
	tcp := message(epoch+3*second+5, response(1234))
	tcp.Transport, tcp.Src = decode.TCP, host(3, 40000)
	broken := message(epoch+3*second+6, response(0))
	broken.Transport = 99
	for _, m := range []struct {
		m          *decode.Message
		again, dup bool
	}{
		{m: message(epoch, request("INVITE"))},
		{m: message(epoch+1, request("INVITE")), again: true},
		{m: message(epoch+2, request("INVITE")), dup: true},
		{m: message(epoch+second-1, response(100))},
		{m: message(epoch+second, response(200))},
		{m: message(epoch+2*second, response(200))},
		{m: message(epoch+3*second, request("invite"))},
		{m: message(epoch+3*second+1, request("FOO"))},
		{m: message(epoch+3*second+2, request("FOO"))},
		{m: message(epoch+3*second+3, response(699))},
		{m: message(epoch+3*second+4, response(700))},
		{m: tcp},
		{m: broken},
	} {
		c.Message(m.m, m.again, m.dup)
	}
	got := c.Result(Totals{
		Packets: 20, Outcomes: map[string]uint64{"sip": 13, "other": 7, "held": 0}, CallIDs: 4,
		Transactions: map[string]uint64{"INVITE": 1}, InviteDialogs: InviteDialogs{
			Confirmed: 1, EarlySeen: 2,
			EarlyNeverConfirmed: 1,
		},
	})
	want := Result{
		Packets: 20, Outcomes: map[string]uint64{"sip": 13, "other": 7}, Malformed: map[string]uint64{},
		First: time.Unix(0, epoch).UTC(), Last: time.Unix(0, epoch+3*second+6).UTC(), Seconds: 3, MessagesPeak: 7,
		SIPMessages: 13, Requests: map[string]uint64{"INVITE": 3, "invite": 1, "FOO": 2},
		Responses:  map[string]uint64{"0": 1, "100": 1, "200": 2, "699": 1, "700": 1, "1234": 1},
		Classes:    map[string]uint64{"1xx": 1, "2xx": 2, "6xx": 1, "other": 3},
		Transports: map[string]uint64{"UDP": 11, "TCP": 1, "WSS": 1}, Retransmitted: 1, Retransmit: 0.076923,
		Duplicates: 1,
		CallIDs:    4, Transactions: map[string]uint64{"INVITE": 1},
		InviteDialogs: InviteDialogs{Confirmed: 1, EarlySeen: 2, EarlyNeverConfirmed: 1},
		States:        States{Invite: map[string]uint64{}, Other: map[string]uint64{}},
		Hosts:         []Ranked{{"10.0.0.2", 13}, {"10.0.0.1", 12}, {"10.0.0.3", 1}},
		UserAgents:    []Ranked{}, Servers: []Ranked{},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if diff := cmp.Diff(got, c.Result(Totals{
		Packets: 20, Outcomes: map[string]uint64{"sip": 13, "other": 7}, CallIDs: 4,
		Transactions: map[string]uint64{"INVITE": 1}, InviteDialogs: want.InviteDialogs,
	})); diff != "" {
		t.Errorf("asked twice (-first +second)\n%s", diff)
	}
}

// TestJSON holds the names that readers of the JSON rely on, and that nothing is null that has a value.
func TestJSON(t *testing.T) {
	t.Parallel()
	var c Collector
	data, err := json.Marshal(c.Result(Totals{}))
	if err != nil {
		t.Fatal(err)
	}
	want := `{"packets":0,"outcomes":{},"malformed":{},` +
		`"streams":{"datagrams_given_up":0,"gaps":0,"evicted":0,"evicted_fragments":0,"overlaps":0},` +
		`"seconds":0,"messages_per_second_peak":0,"sip_messages":0,` +
		`"requests_by_method":{},"responses_by_status":{},"responses_by_class":{},"transports":{},` +
		`"retransmissions":0,"retransmission_rate":0,"duplicates":0,"call_ids":0,"transactions_by_method":{},` +
		`"invite_dialogs":{"confirmed":0,"early_seen":0,"early_never_confirmed":0},"states":{"invite":{},"other":{}},` +
		`"attempts":{"calls":0,"answered":0,"pending":0,"recoverable":0,"seizures":0,"asr_percent":null,` +
		`"seer_percent":null,"ner_percent":null},"pdd_ms":null,"setup_ms":null,"duration_ms":null,` +
		`"calls_per_second_peak":0,"concurrent_calls_peak":0,"busiest_hosts":[],"user_agents":[],"servers":[],` +
		`"overflow":{"methods":0,"statuses":0,"hosts":0,"user_agents":0,"servers":0},` +
		`"limited":{"evicted_calls":0,"expired_calls":0,"evicted_messages":0,"unkept_messages":0,"unkept_gaps":0,"shared_addresses":0,` +
		`"shared_paths":0,"shared_methods":0,"connections":0}}`
	if diff := cmp.Diff(want, string(data)); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestNewTotals(t *testing.T) {
	t.Parallel()
	acct := decode.Accounting{Packets: 9}
	acct.Outcomes[decode.OutcomeSIP], acct.Outcomes[decode.OutcomeMalformed], acct.Malformed[1] = 6, 3, 3
	acct.Streams = decode.StreamLimits{Datagrams: 1, Gaps: 2, Evicted: 3, Overlaps: 4}
	got := NewTotals(acct, correlate.Totals{CallIDs: 5, Confirmed: 2, Early: 4, EarlyConfirmed: 1},
		correlate.Limited{UnkeptGaps: 1})
	want := Totals{
		Packets: 9, Outcomes: map[string]uint64{"sip": 6, "malformed": 3},
		Malformed: map[string]uint64{frame.Reason(1).String(): 3},
		CallIDs:   5, InviteDialogs: InviteDialogs{Confirmed: 2, EarlySeen: 4, EarlyNeverConfirmed: 3},
		Streams: Streams{Datagrams: 1, Gaps: 2, Evicted: 3, Overlaps: 4}, Limited: correlate.Limited{UnkeptGaps: 1},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func summary(state correlate.State, code uint16, start, length int64) *correlate.Summary {
	return &correlate.Summary{
		Method: "INVITE", State: state, Code: code, First: epoch + start*1e9, Last: epoch + (start+length)*1e9,
		PDD: -1, Setup: -1, Duration: -1,
	}
}

func TestCalls(t *testing.T) {
	t.Parallel()
	var c Collector
	for i, call := range []struct {
		state correlate.State
		code  uint16
	}{
		{correlate.StateCompleted, 200},
		{correlate.StateAnswered, 200},
		{correlate.StateBusy, 486},
		{correlate.StateBusy, 600},
		{correlate.StateDeclined, 603},
		{correlate.StateCancelled, 487},
		{correlate.StateFailed, 480},
		{correlate.StateFailed, 503},
		{correlate.StateFailed, 402},
		{correlate.StateNotFound, 404},
		{correlate.StateTimedOut, 408},
		{correlate.StateChallenged, 407},
		{correlate.StateRedirected, 302},
		{correlate.StateRinging, 0},
		{correlate.StateCalling, 0},
		{correlate.StateUnknown, 0},
	} {
		s := summary(call.state, call.code, int64(i), 1)
		s.UserAgent, s.Server = "UA-"+string(rune('a'+i%2)), "Server"
		if i == 0 {
			s.PDD, s.Setup, s.Duration = 100e6, 2e9, 60e9
		}
		c.Call(s)
	}
	options := summary(correlate.StateSucceeded, 200, 16, 1)
	options.Method, options.PDD = "OPTIONS", 5
	c.Call(options)
	c.Call(&correlate.Summary{Method: "REGISTER", State: 200})

	got := c.Result(Totals{})
	if diff := cmp.Diff(States{
		Invite: map[string]uint64{
			"completed": 1, "answered": 1, "busy": 2, "declined": 1, "cancelled": 1, "failed": 3, "not_found": 1,
			"timed_out":  1,
			"challenged": 1, "redirected": 1, "ringing": 1, "calling": 1, "unknown": 1,
		},
		Other: map[string]uint64{"succeeded": 1, "terminated": 1},
	}, got.States); diff != "" {
		t.Errorf("states (-want +got)\n%s", diff)
	}
	percent := func(v float64) *float64 { return &v }
	// 16 calls, 3 pending, 3 recoverable: 10 seizures; 2 answered, 4 user, 1 cancelled
	if diff := cmp.Diff(Attempts{
		Calls: 16, Answered: 2, Pending: 3, Recoverable: 3, Seizures: 10, ASR: percent(20), SEER: percent(60),
		NER: percent(70),
	}, got.Attempts); diff != "" {
		t.Errorf("attempts (-want +got)\n%s", diff)
	}
	for name, d := range map[string]struct {
		got  *Distribution
		want float64
	}{"pdd": {got.PDD, 100}, "setup": {got.Setup, 2000}, "duration": {got.Duration, 60000}} {
		w := d.want
		if diff := cmp.Diff(&Distribution{1, w, w, w, w, w, w, w}, d.got); diff != "" {
			t.Errorf("%s (-want +got)\n%s", name, diff)
		}
	}
	if diff := cmp.Diff([]Ranked{{"UA-a", 8}, {"UA-b", 8}}, got.UserAgents); diff != "" {
		t.Errorf("user agents (-want +got)\n%s", diff)
	}
	if diff := cmp.Diff([]Ranked{{"Server", 16}}, got.Servers); diff != "" {
		t.Errorf("servers (-want +got)\n%s", diff)
	}
	if got.CallsPeak != 1 {
		t.Errorf("calls per second: %d", got.CallsPeak)
	}
}

func TestActivity(t *testing.T) {
	t.Parallel()
	completed := summary(correlate.StateCompleted, 200, 0, 100) // BYE at 10, a straggler at 100
	completed.Setup, completed.Duration = 2e9, 8e9
	for name, tt := range map[string]struct {
		calls []*correlate.Summary
		want  uint64
	}{
		"none": {nil, 0},
		"one":  {[]*correlate.Summary{summary(correlate.StateFailed, 503, 0, 0)}, 1},
		"one by one": {[]*correlate.Summary{
			summary(correlate.StateFailed, 503, 0, 2),
			summary(correlate.StateFailed, 503, 2, 2),
		}, 1},
		"overlapping": {[]*correlate.Summary{
			summary(correlate.StateFailed, 503, 0, 3),
			summary(correlate.StateFailed, 503, 2, 2),
		}, 2},
		"up at the end": {[]*correlate.Summary{
			summary(correlate.StateAnswered, 200, 0, 1),
			summary(correlate.StateFailed, 503, 9, 2),
		}, 2},
		"bye counts": {[]*correlate.Summary{completed, summary(correlate.StateFailed, 503, 10, 2)}, 1},
		"not INVITE": {[]*correlate.Summary{{Method: "OPTIONS"}, {Method: "OPTIONS"}}, 0},
	} {
		var c Collector
		for _, s := range tt.calls {
			c.Call(s)
		}
		if got := c.Result(Totals{}).ActivePeak; got != tt.want {
			t.Errorf("%s: got %d, want %d", name, got, tt.want)
		}
	}
}

// TestActivityRandom compares the heap with counting at every start.
func TestActivityRandom(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	var calls []*correlate.Summary
	start := int64(0)
	for range 500 {
		start += random.Int64N(5)
		calls = append(calls, summary(correlate.StateFailed, 503, start, 1+random.Int64N(100)))
	}
	want := 0
	for _, at := range calls {
		n := 0
		for _, s := range calls {
			if s.First <= at.First && at.First < s.Last {
				n++
			}
		}
		want = max(want, n)
	}
	var a activity
	for _, s := range calls {
		a.add(s)
	}
	if a.peak != want || want < 20 {
		t.Errorf("got %d, counted %d", a.peak, want)
	}
}

func TestPerSecond(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		times []int64
		want  uint64
	}{
		"none":           {nil, 0},
		"a second":       {[]int64{0, 1, 999_999_999}, 3},
		"two seconds":    {[]int64{0, 1, 1_000_000_000}, 2},
		"before 1970":    {[]int64{-1, -2, 0}, 2},
		"first is peak":  {[]int64{0, 1, 2, 5e9, 9e9}, 3},
		"last is peak":   {[]int64{0, 5e9, 9e9, 9e9 + 1}, 2},
		"steps back":     {[]int64{5e9, 4e9, 4e9 + 1}, 3},
		"starts in half": {[]int64{500_000_000, 999_999_999, 1_400_000_000}, 2},
	} {
		var p perSecond
		for _, at := range tt.times {
			p.add(at)
		}
		if got := p.most(); got != tt.want {
			t.Errorf("%s: got %d, want %d", name, got, tt.want)
		}
	}
}

func TestDistribution(t *testing.T) {
	t.Parallel()
	var d distribution
	if d.result() != nil {
		t.Error("figures of nothing")
	}
	for v := int64(1000); v > 0; v-- { // 1 to 1000 ms
		d.add(v * 1e6)
		d.add(-1)
	}
	want := &Distribution{Count: 1000, Min: 1, Mean: 500.5, P50: 500, P90: 900, P95: 950, P99: 990, Max: 1000}
	if diff := cmp.Diff(want, d.result()); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	d.add(0)
	if got := d.result(); got.Min != 0 || got.P50 != 500 {
		t.Errorf("with 0: %+v", got)
	}
}

// TestHistogram compares the histogram with all values, for values that are large, small and all the same.
func TestHistogram(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(3, 4))
	for name, draw := range map[string]func() int64{
		"small":       func() int64 { return random.Int64N(300) },
		"call times":  func() int64 { return int64(random.ExpFloat64() * 90e9) },
		"all of them": func() int64 { return random.Int64() >> random.IntN(63) },
		"the same":    func() int64 { return 123_456_789 },
	} {
		var d distribution
		all := make([]int64, 3*maxExact)
		for i := range all {
			all[i] = draw()
			d.add(all[i])
		}
		slices.Sort(all)
		if d.buckets == nil || d.exact != nil {
			t.Fatalf("%s: no histogram", name)
		}
		got := d.result()
		for percent, v := range map[int]float64{
			0: got.Min, 50: got.P50, 90: got.P90, 95: got.P95, 99: got.P99,
			100: got.Max,
		} {
			rank := max((len(all)*percent+99)/100, 1)
			want := float64(all[rank-1]) / 1e6
			if diff := v - want; diff > want*0.004+0.001 || -diff > want*0.004+0.001 {
				t.Errorf("%s: p%d = %v, want %v", name, percent, v, want)
			}
		}
	}
}

func TestBuckets(t *testing.T) {
	t.Parallel()
	last := -1
	for shift := range 63 {
		for _, v := range []int64{1<<shift - 1, 1 << shift, 1<<shift + 1<<shift/2, 1<<shift + (1<<shift - 1)} {
			b := bucket(v)
			if b < last || b >= allBuckets {
				t.Fatalf("bucket(%d) = %d after %d of %d", v, b, last, allBuckets)
			}
			last = b
			m := middle(b)
			if bucket(m) != b {
				t.Errorf("middle(%d) = %d lies in bucket %d", b, m, bucket(m))
			}
			if diff := float64(m - v); diff > float64(v)/256+0.5 || -diff > float64(v)/256+0.5 {
				t.Errorf("%d stands for %d", m, v)
			}
		}
	}
	if last != allBuckets-1 {
		t.Errorf("the largest value is in bucket %d of %d", last, allBuckets)
	}
}

// TestBounds floods every map with keys from the wire and looks whether the busy ones are still found.
func TestBounds(t *testing.T) {
	t.Parallel()
	var c Collector
	const flood = 40_000
	long := strings.Repeat("x", 10_000)
	for i := range flood {
		m := message(epoch, request(fmt.Sprintf("M%d%s", i, long[:i%1000])))
		m.Src, m.Dst = host(100+i, 5060), host(1, uint16(i))
		c.Message(m, false, false)
		c.Message(message(epoch, response(uint16(i))), false, false)
		s := summary(correlate.StateFailed, 503, 0, 1)
		s.UserAgent, s.Server = fmt.Sprintf("%d%s", i, long), "\xff"+long
		if i%10 == 0 {
			s.UserAgent = "Busy one"
		}
		c.Call(s)
	}
	r := c.Result(Totals{})
	if len(r.Requests) != maxMethods || len(c.strange.counts) != maxStatuses {
		t.Errorf("%d methods, %d statuses over 999", len(r.Requests), len(c.strange.counts))
	}
	if len(c.hosts.all.counts) > maxHosts || len(c.agents.counts) > maxProducts {
		t.Errorf("%d hosts, %d user agents", len(c.hosts.all.counts), len(c.agents.counts))
	}
	total := func(m map[string]uint64) (n uint64) {
		for key, v := range m {
			if len(key) > maxName {
				t.Errorf("a key of %d bytes", len(key))
			}
			n += v
		}
		return n
	}
	all := total(r.Requests) + r.Overflow.Methods + total(r.Responses) + r.Overflow.Statuses
	if all != r.SIPMessages || r.SIPMessages != 2*flood {
		t.Errorf("%d messages by method and status, %d in all", all, r.SIPMessages)
	}
	if got := total(r.Classes); got != flood {
		t.Errorf("%d responses by class", got)
	}
	hosts := r.Overflow.Hosts
	for _, n := range c.hosts.all.counts {
		hosts += n
	}
	if hosts != 4*flood {
		t.Errorf("%d ends of messages, want %d", hosts, 4*flood)
	}
	if got := r.Hosts[0]; got.Name != "10.0.0.1" || got.Count < flood {
		t.Errorf("busiest host %v", got)
	}
	if got := r.UserAgents[0]; got.Name != "Busy one" || got.Count != flood/10 {
		t.Errorf("busiest user agent %v", got)
	}
	if got := r.Servers[0]; got.Name != long[:maxName-1] || got.Count != flood {
		t.Errorf("server of %d bytes, %d times", len(got.Name), got.Count)
	}
}

func TestPeakIsBounded(t *testing.T) {
	t.Parallel()
	var a activity
	s := summary(correlate.StateAnswered, 200, 0, 0)
	for range maxActive + 10 {
		a.add(s)
	}
	if a.peak != maxActive || len(a.ends) != maxActive {
		t.Errorf("peak %d, %d kept", a.peak, len(a.ends))
	}
}

// TestAllocs holds the budget of the pipeline's serial path.
//
//nolint:paralleltest // other tests' allocations would count
func TestAllocs(t *testing.T) {
	var c Collector
	messages := mix()
	for _, m := range messages {
		c.Message(m, false, false)
	}
	if n := testing.AllocsPerRun(20, func() {
		for _, m := range messages {
			c.Message(m, true, false)
		}
	}); n > 0 {
		t.Errorf("%v allocations for %d messages", n, len(messages))
	}
}

// mix makes messages as a busy proxy sees them: some peers, all kinds of responses, an unknown method.
func mix() []*decode.Message {
	var all []*decode.Message
	kinds := []sip.Message{
		request("INVITE"), response(100), response(180), response(200), request("ACK"), request("BYE"), response(200),
		response(486), request("OPTIONS"), request("KEEPALIVE"),
	}
	for i := range 1024 {
		m := message(epoch+int64(i)*1e6, kinds[i%len(kinds)])
		m.Src, m.Dst = host(i%61, 5060), host(i%7+1000, 5060)
		all = append(all, m)
	}
	return all
}

func BenchmarkMessage(b *testing.B) {
	var c Collector
	messages := mix()
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		c.Message(messages[i%1024], false, false)
		i++
	}
}

// BenchmarkMessageManyHosts is the worst case of the host counts: each message has another source.
func BenchmarkMessageManyHosts(b *testing.B) {
	var c Collector
	m := message(epoch, request("INVITE"))
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		m.Src = host(i%1_000_000, 5060)
		c.Message(m, false, false)
		i++
	}
}

func BenchmarkCall(b *testing.B) {
	var c Collector
	s := summary(correlate.StateCompleted, 200, 0, 60)
	s.UserAgent, s.Server, s.PDD, s.Setup, s.Duration = "Linphone/5.2", "Asterisk PBX", 1e8, 2e9, 58e9
	b.ReportAllocs()
	i := int64(0)
	for b.Loop() {
		s.First = epoch + i*1e6
		s.PDD = i % 5e9
		c.Call(s)
		i++
	}
}

// A clone goes its own way: what either counts later, the other does not see.
func TestClone(t *testing.T) {
	t.Parallel()
	feed := func(c *Collector, from, to int) {
		for i := from; i < to; i++ {
			c.Message(message(epoch+int64(i)*1e8, request([]string{"INVITE", "X-NEW", "FOO"}[i%3])), i%7 == 0, false)
			c.Message(message(epoch+int64(i)*1e8, response([]uint16{200, 486, 1200}[i%3])), false, i%5 == 0)
			c.Call(&correlate.Summary{
				Num: uint32(i + 1), Method: "INVITE", State: correlate.StateCompleted, First: epoch + int64(i)*1e8,
				Last: epoch + int64(i)*1e8 + 1e9, PDD: int64(i) * 1e6, Setup: -1, Duration: 1e9, UserAgent: fmt.Sprint("ua", i%4),
			})
		}
	}
	var all, first Collector
	feed(&all, 0, 100)
	feed(&first, 0, 60)
	want := first.Result(Totals{})
	second := first.Clone()
	feed(second, 60, 100)
	if diff := cmp.Diff(all.Result(Totals{}), second.Result(Totals{})); diff != "" {
		t.Errorf("a clone that goes on (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(want, first.Result(Totals{})); diff != "" {
		t.Errorf("what was cloned (-want +got):\n%s", diff)
	}
}
