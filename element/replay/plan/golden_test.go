package plan_test

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sipscope/element/replay/plan"
)

// The pictures of a plan for people, and its files, are as they were looked at.
func TestGolden(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, capture string
		o             plan.Options
	}{
		{"trapezoid", "scenario-trapezoid.pcapng", plan.Options{}},
		{"two-proxies-cut", "scenario-bye-two-proxies.pcapng", plan.Options{Cut: true}},
		{"two-proxies-b", "scenario-bye-two-proxies.pcapng", plan.Options{SUT: "127.0.2.1"}},
		{"fork", "scenario-ua-fork.pcapng", plan.Options{}},
		{"fork-alice", "scenario-ua-fork.pcapng", plan.Options{As: []string{"alice"}, NoRegister: true}},
		{"reliable", "scenario-invite-reliable.pcapng", plan.Options{}},
		{"reliable-uas", "scenario-invite-reliable.pcapng", plan.Options{SUT: "alice"}},
		{"proxy-auth-self", "scenario-invite-proxy-auth.pcapng", plan.Options{Self: true}},
		{"proxy-auth-verify", "scenario-invite-proxy-auth.pcapng", plan.Options{SUT: "alice"}},
		{"attended-transfer", "attended-transfer.pcap", plan.Options{}},
		{"b2bua", "b2bua.pcap", plan.Options{Aliases: map[string]string{"10.0.6.1": "pbx one"}}},
		{"ack-lost", "ack-lost.pcap", plan.Options{}},
		{"hostile-names", "hostile-names.pcap", plan.Options{}},
		{"fragment-missing", "ip-fragment-missing.pcap", plan.Options{}},
		{"lf-only", "compact-lf-only.pcap", plan.Options{}},
		{"subscribe-proxy", "scenario-subscribe-proxy.pcapng", plan.Options{}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			r := load(t, "../../../testdata/pcaps/"+test.capture)
			test.o.Media = r.media
			p, err := r.plan(t, test.o)
			if err != nil {
				t.Fatal(err)
			}
			p.MediaFile = test.name + ".pcapng"
			golden(t, test.name+".txt", p.WriteText)
			golden(t, test.name+".yaml", p.WriteYAML)
		})
	}
}

func golden(t *testing.T, name string, write func(io.Writer) error) {
	t.Helper()
	var b bytes.Buffer
	if err := write(&b); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join("testdata", name)
	if os.Getenv("UPDATE_GOLDEN") != "" {
		if err := os.WriteFile(path, b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err, "(make golden writes it)")
	}
	if diff := cmp.Diff(string(want), b.String()); diff != "" {
		t.Errorf("%s (-want +got):\n%s", name, diff)
	}
}
