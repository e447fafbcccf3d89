package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"runtime/debug"
	"runtime/metrics"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/term"

	"sipscope/capture"
	"sipscope/correlate"
	"sipscope/correlate/query"
	"sipscope/decode/sip"
	"sipscope/render/text"
)

// input is what the commands share: which captures to read and which calls of them to take.
type input struct {
	io         stdio
	files      []string // -I
	workers    int
	keyLog     string // -k
	configured string // key log that the configuration names
	filter     string
	ignoreCase bool
	invert     bool
	callsOnly  bool
	maxCalls   int
	quiet      bool
	live       liveFlags
	alert      alertFlags
	looksOn    bool // somebody looks on while it runs: a terminal UI, pages
	fullScreen bool // it is a terminal UI
}

// flags adds the flags that say what to read.
func (in *input) flags(f *pflag.FlagSet) {
	f.StringArrayVarP(&in.files, "input", "I", nil, "capture to read (repeatable; also as plain arguments, - for standard input)")
	in.keyLogFlag(f)
	f.IntVarP(&in.workers, "jobs", "j", 0, "decoding workers (default: one a core)")
	f.IntVar(&in.maxCalls, "max-calls", 0, "calls to keep in memory; the oldest ended ones go first")
	f.BoolVarP(&in.quiet, "quiet", "q", false, "no progress on stderr")
	in.live.flags(f)
	in.alert.flags(f)
}

// filterFlags adds the flags that choose calls.
func (in *input) filterFlags(f *pflag.FlagSet) {
	f.StringVarP(&in.filter, "filter", "F", "", "keep calls for which this holds (see: sipscope help filters)")
	f.BoolVarP(&in.ignoreCase, "ignore-case", "i", false, "text search ignores case")
	f.BoolVarP(&in.invert, "invert", "v", false, "keep calls for which the filter does not hold")
	f.BoolVarP(&in.callsOnly, "calls", "c", false, "only calls made with INVITE")
}

// paths gives all captures named, and an error when there is none.
func (in *input) paths(cmd *cobra.Command, args []string) ([]string, error) {
	paths := append(append([]string(nil), in.files...), args...)
	if len(paths) == 0 {
		return nil, usagef("try: sipscope "+cmd.Name()+" trace.pcap", "no capture named")
	}
	return paths, nil
}

// archive is a capture that was read: the board holds its calls, files the way back to its bytes.
type archive struct {
	door  *door
	board *correlate.Board
	query *query.Query
	in    *input
	cols  []string // headers collected for each call, Summary.Columns
	err   error    // damage: reported after the output
}

func (a *archive) close() { a.door.close() }

// wants says what a command needs beyond calls.
type wants struct {
	headers []string // collected for each call
	again   bool     // texts or frames will be read again
	sink    correlate.Sink
}

// The heap is kept within a quarter of what lives once that is much; a small heap may triple, which saves most of the
// collections of a short run. Records hold no pointers, so marking is cheap, and little is thrown away.
const (
	gcLarge   = 25
	gcSmall   = 200
	smallHeap = 64 << 20 // bytes that live
	gcLook    = 10 * time.Millisecond
)

// tuneHeap starts with the percentage for a small heap and changes to the other when the heap has grown, once.
func tuneHeap() (stop func()) {
	debug.SetGCPercent(gcSmall)
	done := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		tick := time.NewTicker(gcLook)
		defer tick.Stop()
		sample := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
		for {
			select {
			case <-done:
				return
			case <-tick.C:
				if metrics.Read(sample); sample[0].Value.Uint64() > smallHeap {
					debug.SetGCPercent(gcLarge)
					return
				}
			}
		}
	})
	return func() {
		close(done)
		wg.Wait()
	}
}

// read runs the pipeline over the captures.
func (in *input) read(ctx context.Context, cmd *cobra.Command, args []string, w wants) (*archive, error) { //nolint:contextcheck // watch says why
	q, err := in.compile()
	if err != nil {
		return nil, err
	}
	headers := append(append([]string(nil), w.headers...), q.Headers()...)
	q.Bind(headers)
	defer tuneHeap()()
	d, err := in.open(ctx, cmd, args, w.again)
	if err != nil {
		return nil, err
	}
	a := &archive{door: d, board: &correlate.Board{}, query: q, in: in, cols: headers}
	cfg := correlate.Config{Headers: headers, Words: q.Words(), Board: a.board}
	if d.live() {
		ctx = in.watch(cmd)
	}
	var more []correlate.Sink
	if w.sink != nil {
		more = append(more, w.sink)
	}
	run, err := in.begin(ctx, d, cfg, more...)
	if err != nil {
		d.close()
		return nil, err
	}
	stop := in.progress(run)
	err = run.wait()
	stop()
	for _, line := range d.lost() {
		run.say(line)
	}
	if err != nil && !errors.Is(err, capture.ErrDamaged) && !errors.As(err, new(nothingError)) { // an alert has its list, too
		a.close()
		return nil, err
	}
	a.err = err
	return a, nil
}

func (in *input) compile() (*query.Query, error) {
	q, err := query.Compile(in.filter, query.Options{IgnoreCase: in.ignoreCase, Invert: in.invert})
	if err != nil {
		return nil, usagef("see: sipscope help filters", "filter: %w", err)
	}
	return q, nil
}

// match reports whether the call is one that the user asked for.
func (a *archive) match(s *correlate.Summary) bool {
	if a.in.callsOnly && s.Method != sip.MethodInvite.String() {
		return false
	}
	return a.query.Match(s)
}

// watch prepares a run over a live source, which ends by itself when the command's context does: what had arrived is
// still read, and what follows, such as writing a report, can be interrupted once more.
func (in *input) watch(cmd *cobra.Command) context.Context {
	ctx := context.WithoutCancel(cmd.Context())
	again, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(again, stop)
	cmd.SetContext(again)
	return ctx
}

// progressAfter is how long a run may take before it shows progress on a terminal.
const progressAfter = 700 * time.Millisecond

// progress shows how far the reading is, on stderr when that is a terminal, until the returned function is called.
func (in *input) progress(run *session) (stop func()) {
	if in.quiet || !term.IsTerminal(int(in.io.err.Fd())) {
		return func() {}
	}
	done := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		tick := time.NewTicker(progressAfter / 3)
		defer tick.Stop()
		start, shown := time.Now(), false
		for {
			select {
			case <-done:
				if shown {
					fmt.Fprint(in.io.err, "\r\x1b[K")
				}
				return
			case now := <-tick.C:
				if now.Sub(start) < progressAfter {
					continue
				}
				shown = true
				fmt.Fprint(in.io.err, "\r\x1b[K"+oneLine(run.doing()))
			}
		}
	})
	return func() {
		close(done)
		wg.Wait()
	}
}

// doing says how far a run is.
func (s *session) doing() string {
	if s.door.live() {
		return s.status() + " (Ctrl-C ends it)"
	}
	acct, _ := s.board.Accounting()
	percent := ""
	if done, size := s.door.progress(); size > 0 {
		percent = fmt.Sprintf(" %d %%", min(100, done*100/size))
	}
	return fmt.Sprintf("reading%s, %d packets, %d calls", percent, acct.Packets, s.board.Totals().Calls)
}

// terminalWidth is the terminal's width in cells, 0 when the output is no terminal.
func (in *input) terminalWidth() int {
	fd := int(in.io.out.Fd())
	if !term.IsTerminal(fd) {
		return 0
	}
	w, _, err := term.GetSize(fd)
	if err != nil {
		return 80
	}
	return w
}

// oneLine makes an error message safe for a terminal: it may quote what a file holds.
func oneLine(s string) string { return text.Clean(strings.TrimSpace(s)) }
