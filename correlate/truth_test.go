package correlate_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"sipscope/capture"
	"sipscope/correlate"
)

// truths is where captures made by others lie, each with what an independent reader found in it.
const truths = "../../shared/pcaps"

// later names the captures whose messages lie inside what later issues open: tunnels, WebSocket, TLS, HEP, ESP.
var later = []string{
	"edge/gre.pcap", "edge/vxlan.pcap", "peers/hep3_kamailio.pcap", "peers/hep3_sngrep.pcap", "negbie__heplify/erspan_sip_ipv4_udp.pcapng",
}

// truth is the part of a truth file that this stage can be held to.
type truth struct {
	Sure         *bool             `json:"sure"`
	Messages     *uint64           `json:"sip_messages"`
	Methods      map[string]uint64 `json:"requests_by_method"`
	Statuses     map[string]uint64 `json:"responses_by_status"`
	CallIDs      *uint64           `json:"call_ids"`
	Transactions map[string]uint64 `json:"transactions_by_method"`
	Dialogs      *struct {
		Confirmed uint64 `json:"confirmed"`
		Early     uint64 `json:"early_seen"`
		Never     uint64 `json:"early_never_confirmed"`
	} `json:"invite_dialogs"`
	Retransmissions json.RawMessage `json:"retransmissions"`
	Calls           []truthCall     `json:"calls"`
}

type truthCall struct {
	CallID     string   `json:"call_id"`
	Caller     string   `json:"caller"`
	State      string   `json:"state"`
	ReleasedBy string   `json:"released_by"`
	PDD        *float64 `json:"pdd_ms"`
	Setup      *float64 `json:"setup_ms"`
	Duration   *float64 `json:"duration_ms"`
}

// tally is a Sink that counts.
type tally struct {
	methods, statuses map[string]uint64
}

func (s *tally) Event(e *correlate.Event) error {
	if e.Message == nil {
		return nil
	}
	if m := &e.Message.SIP; m.Request {
		s.methods[string(m.Method.Of(m.Raw))]++
	} else {
		s.statuses[strconv.Itoa(int(m.Status))]++
	}
	return nil
}

// run reads a capture through the whole pipeline.
func run(t *testing.T, path string, cfg correlate.Config) (*correlate.Board, error) {
	t.Helper()
	files, err := capture.Open([]string{path}, capture.Options{})
	if err != nil {
		return nil, err
	}
	defer func() { _ = files.Close() }()
	cfg.Board = &correlate.Board{}
	cfg.Secrets = secretsOf(path, files)
	err = correlate.Run(context.Background(), files, cfg)
	if err != nil && !errors.Is(err, capture.ErrDamaged) {
		return nil, err
	}
	return cfg.Board, nil
}

// secretsOf gives the TLS keys of a capture: those beside it, and those in it.
func secretsOf(path string, files *capture.Files) func() iter.Seq[[]byte] {
	var log [][]byte
	if b, err := os.ReadFile(strings.TrimSuffix(path, filepath.Ext(path)) + ".keys"); err == nil {
		log = append(log, b)
	}
	known := 0
	return func() iter.Seq[[]byte] {
		out := log
		log = nil
		if inside := files.Secrets(); len(inside) > known {
			out, known = append(out, inside[known:]...), len(inside)
		}
		return slices.Values(out)
	}
}

// captures calls f for every capture with a truth.
func captures(t *testing.T, f func(t *testing.T, name, path string, want truth)) {
	t.Helper()
	if _, err := os.Stat(truths); err != nil {
		t.Skip("no captures of others at ../shared/pcaps beside this checkout")
	}
	err := filepath.WalkDir(truths, func(path string, _ fs.DirEntry, err error) error {
		base, ok := strings.CutSuffix(path, ".truth.json")
		if err != nil || !ok {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		var want truth
		if err := json.Unmarshal(text, &want); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		for _, ending := range []string{"", ".pcap", ".pcapng", ".cap", ".pcap.gz", ".pcapng.gz"} {
			if st, err := os.Stat(base + ending); err == nil && st.Mode().IsRegular() {
				name, _ := filepath.Rel(truths, base+ending)
				t.Run(name, func(t *testing.T) {
					t.Parallel()
					f(t, name, base+ending, want)
				})
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestTruths(t *testing.T) {
	t.Parallel()
	captures(t, func(t *testing.T, name, path string, want truth) {
		t.Helper()
		for _, l := range later {
			if strings.HasPrefix(name, l) {
				t.Skip("its messages lie inside a tunnel, WebSocket, TLS or HEP")
			}
		}
		if want.Sure != nil && !*want.Sure {
			t.Skip("the truth is not sure")
		}
		sink := &tally{map[string]uint64{}, map[string]uint64{}}
		b, err := run(t, path, correlate.Config{Sink: sink})
		if err != nil {
			if want.Messages != nil && *want.Messages == 0 {
				return // a file that must be refused
			}
			t.Fatal(err)
		}
		compareCounts(t, b, sink, &want)
		compareCalls(t, b, want.Calls)
	})
}

func compareCounts(t *testing.T, b *correlate.Board, sink *tally, want *truth) {
	t.Helper()
	got := b.Totals()
	same := func(what string, got, want any) {
		t.Helper()
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %v, want %v", what, got, want)
		}
	}
	if want.Messages != nil {
		same("messages", got.Messages, *want.Messages)
	}
	if want.CallIDs != nil {
		same("Call-IDs", got.CallIDs, *want.CallIDs)
	}
	if want.Methods != nil {
		same("methods", sink.methods, want.Methods)
	}
	if want.Statuses != nil {
		same("statuses", sink.statuses, want.Statuses)
	}
	if want.Transactions != nil {
		same("transactions", got.Transactions, want.Transactions)
	}
	if d := want.Dialogs; d != nil {
		same("dialogs", []uint64{got.Confirmed, got.Early, got.Early - got.EarlyConfirmed},
			[]uint64{d.Confirmed, d.Early, d.Never})
	}
	if n, ok := retransmissions(want.Retransmissions); ok {
		same("retransmissions", got.Retransmissions, n)
	}
}

// retransmissions reads a number, or an object with a total.
func retransmissions(raw json.RawMessage) (uint64, bool) {
	var n uint64
	if json.Unmarshal(raw, &n) == nil && len(raw) > 0 && raw[0] != '{' {
		return n, true
	}
	var o struct {
		Total *uint64 `json:"total"`
	}
	if json.Unmarshal(raw, &o) == nil && o.Total != nil {
		return *o.Total, true
	}
	return 0, false
}

func compareCalls(t *testing.T, b *correlate.Board, want []truthCall) {
	t.Helper()
	got := map[string]correlate.Summary{}
	for s := range b.Calls() {
		got[s.CallID] = *s
	}
	agree := map[string][]string{
		"completed": {"completed"}, "busy": {"busy"}, "cancelled": {"cancelled"},
		"failed": {"failed", "declined", "not_found"}, "timeout": {"timed_out"},
	}
	for _, w := range want {
		s, ok := got[w.CallID]
		if !ok {
			t.Errorf("call %s is not listed", w.CallID)
			continue
		}
		if states := agree[w.State]; states != nil && !slices.Contains(states, s.State.String()) {
			t.Errorf("call %s: state %s, want %s", w.CallID, s.State, w.State)
		}
		near(t, w.CallID+" pdd", s.PDD, w.PDD)
		near(t, w.CallID+" setup", s.Setup, w.Setup)
		near(t, w.CallID+" duration", s.Duration, w.Duration)
		by := w.ReleasedBy
		if by == "caller" {
			by = w.Caller
			if s.EndedBy != correlate.Caller {
				t.Errorf("call %s: ended by %q, want caller", w.CallID, s.EndedBy)
			}
		}
		if by != "" && s.ReleasedBy.Host() != by {
			t.Errorf("call %s: released by %s, want %s", w.CallID, s.ReleasedBy.Host(), by)
		}
	}
}

func near(t *testing.T, what string, ns int64, ms *float64) {
	t.Helper()
	if ms == nil {
		return
	}
	if got := float64(ns) / 1e6; got-*ms > 1 || *ms-got > 1 {
		t.Errorf("%s: %.1f ms, want %.1f", what, got, *ms)
	}
}

// Outcomes add up to the packets read, and any number of workers gives the same calls.
func TestEveryPacketHasOneOutcomeAndWorkersChangeNothing(t *testing.T) {
	t.Parallel()
	captures(t, func(t *testing.T, _, path string, _ truth) {
		t.Helper()
		one, err := run(t, path, correlate.Config{Workers: 1})
		if err != nil {
			return // refused: TestTruths judges that
		}
		acct, _ := one.Accounting()
		var sum uint64
		acct.Each(func(_ string, n uint64) { sum += n })
		if sum != acct.Packets {
			t.Errorf("outcomes add up to %d of %d packets", sum, acct.Packets)
		}
		many, err := run(t, path, correlate.Config{Workers: 8})
		if err != nil {
			t.Fatal(err)
		}
		if a, b := dump(one), dump(many); a != b {
			t.Errorf("one worker and eight differ:\n%s\n%s", a, b)
		}
	})
}

// dump writes all that a board knows.
func dump(b *correlate.Board) string {
	var out strings.Builder
	acct, limited := b.Accounting()
	fmt.Fprintf(&out, "%+v %+v %+v\n", acct, limited, b.Totals())
	for s := range b.Calls() {
		c, _ := b.Call(s.Num)
		c.Registration = nil // a pointer prints its address
		fmt.Fprintf(&out, "%+v\n%+v\n", *s, c)
	}
	return out.String()
}
