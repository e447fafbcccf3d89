//go:build unix

package watch

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"sipscope/correlate"
)

// gone reports whether a process has ended: it is not there, or nobody has asked for its exit code.
func gone(pid int) bool {
	if syscall.Kill(pid, 0) != nil {
		return true
	}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err == nil && strings.Contains(string(stat), ") Z ")
}

// A command that takes too long is asked to end, then ended, with all that it started.
func TestTimeout(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		what       string
		says       string
		least, not time.Duration // how long it takes
	}{
		{"sleep", "", 0, grace},
		{"polite", "ready\nbye\n", 0, grace},
		{"stubborn", "ready\n", grace, 3 * grace},
		{"parent", "ready\n", grace, 3 * grace},
		{"endless", "", 0, grace},
	} {
		t.Run(tt.what, func(t *testing.T) {
			t.Parallel()
			pidFile := filepath.Join(t.TempDir(), "pid")
			var out buffer
			o := helper(tt.what, pidFile, &out)
			o.Timeout = 2500 * time.Millisecond
			r, _ := start(t, o)
			begin := time.Now()
			r.Call(&correlate.Summary{Num: 3}, nil)
			drain(t, r)
			took := time.Since(begin) - o.Timeout
			if took < tt.least-100*time.Millisecond || took > tt.not {
				t.Errorf("ended %v after its time was over", took)
			}
			want := tt.says + o.Path + " for call 3: it ran too long and was ended after 2.5s\n"
			if tt.what == "endless" {
				if !strings.HasSuffix(out.String(), want) || len(out.String()) > maxOutput+500 {
					t.Errorf("%d bytes", len(out.String()))
				}
			} else if out.String() != want {
				t.Errorf("%q, want %q", out.String(), want)
			}
			if st := r.Stats(); st != (Stats{Started: 1, Failed: 1}) {
				t.Errorf("%+v", st)
			}
			if tt.what == "parent" {
				until(t, "the child has ended", func() bool { return gone(childOf(t, pidFile)) })
			}
		})
	}
}

// childOf reads the number of the process that a helper started.
func childOf(t *testing.T, pidFile string) int {
	t.Helper()
	text, err := os.ReadFile(pidFile)
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(string(text))
	if err != nil || pid < 2 {
		t.Fatalf("%q: %v", text, err)
	}
	return pid
}

// What a command leaves in the background goes on, does not make it fail, and holds the next one up only for a while.
func TestBackground(t *testing.T) {
	t.Parallel()
	pidFile := filepath.Join(t.TempDir(), "pid")
	var out buffer
	r, _ := start(t, helper("leaver", pidFile, &out))
	begin := time.Now()
	r.Call(&correlate.Summary{Num: 1}, nil)
	drain(t, r)
	if took := time.Since(begin); took > 3*grace {
		t.Errorf("it took %v", took)
	}
	pid := childOf(t, pidFile)
	if gone(pid) {
		t.Error("what was left in the background was ended")
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Error(err)
	}
	if st := r.Stats(); st != (Stats{Started: 1}) || strings.Contains(out.String(), "for call") {
		t.Errorf("%+v %q", st, out.String())
	}
}

// The end of Run ends the command that runs, and all that it started.
func TestRunEnds(t *testing.T) {
	t.Parallel()
	pidFile := filepath.Join(t.TempDir(), "pid")
	var out buffer
	r, stop := start(t, helper("parent", pidFile, &out))
	r.Call(&correlate.Summary{Num: 1}, nil)
	until(t, "the child is ready", func() bool { return strings.Contains(out.String(), "ready\n") })
	begin := time.Now()
	stop()
	if took := time.Since(begin); took > 3*grace {
		t.Errorf("it took %v", took)
	}
	until(t, "the child has ended", func() bool { return gone(childOf(t, pidFile)) })
	if st := r.Stats(); st != (Stats{Started: 1, Failed: 1}) || !strings.Contains(out.String(), "for the run ends") {
		t.Errorf("%+v %q", st, out.String())
	}
}
