package live_test

import (
	"errors"
	"io/fs"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"sipscope/capture/live"
)

func TestOptionErrors(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		options live.Options
		want    string
	}{
		{live.Options{Now: time.Now}, "no interface"},
		{live.Options{Devices: []string{"lo"}}, "Now is required"},
		{live.Options{Devices: []string{"lo", "lo"}, Now: time.Now}, "lo: named twice"},
		{live.Options{Devices: []string{""}, Now: time.Now}, "needs a name"},
		{live.Options{Devices: []string{"lo"}, Snaplen: -1, Now: time.Now}, "snaplen -1"},
		{live.Options{Devices: []string{"lo"}, Buffer: -1, Now: time.Now}, "buffer of -1"},
		{live.Options{Devices: []string{"lo"}, Rings: -1, Now: time.Now}, "-1 rings"},
		{live.Options{Devices: []string{"lo"}, Rings: 65, Now: time.Now}, "65 rings"},
	} {
		s, err := live.Open(c.options)
		if err == nil {
			s.Close()
		}
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v, want %q", c.options, err, c.want)
		}
	}
}

func TestErrorTexts(t *testing.T) {
	t.Parallel()
	p := &live.PermissionError{Device: "eth0", Err: syscall.EPERM}
	if !errors.Is(p, fs.ErrPermission) || !strings.Contains(p.Error(), "eth0") ||
		!strings.Contains(p.Error(), "CAP_NET_RAW") {
		t.Errorf("%v", p)
	}
	for path, want := range map[string]string{
		"/usr/bin/sipscope": "sudo setcap cap_net_raw+ep /usr/bin/sipscope",
		"/it's here/x":      `sudo setcap cap_net_raw+ep '/it'\''s here/x'`,
		"":                  "sudo setcap cap_net_raw+ep ''",
	} {
		if got := p.Hint(path); !strings.HasSuffix(got, want) || strings.Contains(got, "\n") {
			t.Errorf("hint for %q: %q", path, got)
		}
	}
	n := &live.NotFoundError{Device: "eth9", Names: []string{"any", "lo"}}
	if got := n.Error(); got != "eth9: no such interface; there are any, lo" {
		t.Error(got)
	}
	n.Names = nil
	if got := n.Error(); got != "eth9: no such interface" {
		t.Error(got)
	}
}

func TestInterfaces(t *testing.T) {
	t.Parallel()
	list, err := live.Interfaces()
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]live.Interface{}
	for _, f := range list {
		names[f.Name] = f
	}
	all, err := net.Interfaces()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range all {
		got, ok := names[f.Name]
		if !ok || got.Index != f.Index || got.MTU != f.MTU || got.Loopback != (f.Flags&net.FlagLoopback != 0) {
			t.Errorf("%s: %+v", f.Name, got)
		}
		addrs, err := f.Addrs()
		if err != nil || len(addrs) != len(got.Addrs) {
			t.Errorf("%s: %d addresses, want %d (%v)", f.Name, len(got.Addrs), len(addrs), err)
		}
	}
}
