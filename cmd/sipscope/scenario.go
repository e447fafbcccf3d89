package main

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/signal"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/sync/errgroup"
	"golang.org/x/term"

	"sipscope/correlate"
	"sipscope/element/scenario"
	"sipscope/element/tap"
)

// scenarioCommand is "sipscope scenario": the textbook's call flows, played by our own elements.
type scenarioCommand struct {
	input
	drawFlags

	virtual bool
	explain bool
	tui     bool
	seed    uint64
}

func newScenario(std stdio) *cobra.Command {
	c := &scenarioCommand{input: input{io: std}}
	cmd := &cobra.Command{
		Use:   "scenario [NAME | FILE.flow]",
		Short: "Play the call flows of the SIP textbook with real packets, and show what happens",
		Long: `Play a call flow: user agents, proxies, registrars and redirect servers of this program talk with each other, and the
ladder shows what they sent. Without a name, the flows are listed with the number of their figure in the textbook, and
below them their variants: the same with a lost message, a busy phone, a wrong password.

The elements listen on loopback addresses (127.0.1.10 and so on, port 5060) and take the time that it takes. With --virtual
nothing is sent: the same elements run in virtual time, at once, with the same result every time. What is seen is compared
with what the flow says, message by message, and so are the transactions and dialogs that the analyzer finds; exit code 1
says that they differ. docs/scenarios.md tells how to write a flow of your own.`,
		Example: `  sipscope scenario
  sipscope scenario trapezoid
  sipscope scenario ua-fork --explain
  sipscope scenario bye-record-route --virtual -O bye.pcapng
  sipscope scenario register --virtual --explain --format html > register.html
  sipscope scenario invite-timer-c --virtual
  sipscope scenario session-invitation --tui
  sipscope scenario my.flow`,
		Args: cobra.MaximumNArgs(1),
		RunE: c.run,
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return flowNames(), cobra.ShellCompDirectiveDefault
		},
	}
	f := cmd.Flags()
	f.BoolVar(&c.virtual, "virtual", false, "in virtual time, without sockets: at once, and the same every time")
	f.BoolVar(&c.explain, "explain", false, "below each arrow: what it does and why, with the RFC's section")
	f.BoolVar(&c.tui, "tui", false, "look at it in the terminal UI, while it goes on")
	f.Uint64Var(&c.seed, "seed", 1, "of tags, branches and Call-IDs")
	c.drawFlags.drawFlags(f)
	rare := pflag.NewFlagSet("live", pflag.ContinueOnError)
	c.live.rare(rare)
	f.AddFlag(rare.Lookup("write"))
	c.live.spoolSize = rare.Lookup("spool-size").DefValue
	return cmd
}

func flowNames() []string {
	flows, err := scenario.Textbook()
	if err != nil {
		return nil
	}
	names := make([]string, 0, len(flows))
	for _, f := range flows {
		names = append(names, f.Name)
	}
	return names
}

func (c *scenarioCommand) run(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return c.list()
	}
	d, err := c.drawing(&c.input)
	if err != nil {
		return err
	}
	if err = c.checkTUI(cmd); err != nil {
		return err
	}
	flow, err := findFlow(args[0])
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt)
	defer stop()
	source := tap.New(0)
	own, err := c.openOwn(ctx, flow.Name, source)
	if err != nil {
		return err
	}
	defer own.close()
	if c.tui {
		return c.runTUI(ctx, flow, source, own)
	}
	run, err := c.begin(context.WithoutCancel(ctx), own, correlate.Config{})
	if err != nil {
		return err
	}
	if !c.virtual && flow.Lasts > 0 {
		fmt.Fprintf(c.io.err, "%s takes about %s; with --virtual it takes no time\n", flow.Name, time.Duration(flow.Lasts))
	}
	result, played := flow.Play(ctx, c.stage(source))
	err = errors.Join(source.Close(), run.wait())
	if result == nil || err != nil {
		return c.failed(errors.Join(played, err))
	}
	if err := c.show(d, flow, result, run); err != nil {
		return err
	}
	return c.verdict(flow, played, run.board)
}

func (c *scenarioCommand) stage(source *tap.Source) scenario.Stage {
	return scenario.Stage{Real: !c.virtual, Seed: c.seed, Tap: source}
}

// checkTUI refuses what a terminal UI cannot do.
func (c *scenarioCommand) checkTUI(cmd *cobra.Command) error {
	if !c.tui {
		return nil
	}
	for _, name := range []string{"format", "explain", "width", "color"} {
		if cmd.Flags().Changed(name) {
			return usagef("leave one of them out", "--%s and --tui do not go together", name)
		}
	}
	if !term.IsTerminal(int(c.io.out.Fd())) {
		return usagef("without --tui the ladder is printed", "--tui needs a terminal")
	}
	return nil
}

// runTUI shows the flow in the terminal UI while it is played, and until the user has seen enough.
func (c *scenarioCommand) runTUI(ctx context.Context, flow *scenario.Flow, source *tap.Source, own *door) error {
	cfg, err := loadConfig(os.Getenv)
	if err != nil {
		return err
	}
	l, err := c.look(&cfg)
	if err != nil {
		return err
	}
	aliases := flow.Aliases()
	maps.Copy(aliases, cfg.Aliases)
	cfg.Aliases = aliases
	c.looksOn, c.fullScreen = true, true
	run, err := c.begin(context.WithoutCancel(ctx), own, correlate.Config{Headers: l.headers, Words: l.query.Words()})
	if err != nil {
		return err
	}
	playing, enough := context.WithCancel(ctx)
	defer enough()
	var played error
	var whole bool
	var g errgroup.Group
	g.Go(func() error {
		_, played = flow.Play(playing, c.stage(source))
		whole = playing.Err() == nil
		return nil
	})
	err = l.show(ctx, false, own, run)
	enough()
	err = errors.Join(err, g.Wait(), source.Close(), run.wait())
	if err != nil || !whole {
		return err // somebody who looks away early wants no verdict
	}
	if played != nil && !errors.Is(played, scenario.ErrDiverged) {
		return c.failed(played)
	}
	return c.verdict(flow, played, run.board)
}

// failed says what to do where there are no sockets to be had.
func (c *scenarioCommand) failed(err error) error {
	if c.virtual {
		return err
	}
	return usageError{err: err, hint: "with --virtual it needs no sockets"}
}

// findFlow reads a flow of the textbook, or of a file.
func findFlow(name string) (*scenario.Flow, error) {
	flows, err := scenario.Textbook()
	if err != nil {
		return nil, err
	}
	for _, f := range flows {
		if f.Name == name {
			return f, nil
		}
	}
	if !strings.ContainsAny(name, "./\\") {
		return nil, usagef("see: sipscope scenario", "no flow is called %q", name)
	}
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, usageError{err: err}
	}
	f, err := scenario.Parse(name, string(text))
	if err != nil {
		return nil, usageError{err: err, hint: "see: docs/scenarios.md"}
	}
	return f, nil
}

func (c *scenarioCommand) list() error {
	flows, err := scenario.Textbook()
	if err != nil {
		return err
	}
	wide := 0
	for _, f := range flows {
		wide = max(wide, len(f.Name))
	}
	var b strings.Builder
	line := func(figure, name, title string) { fmt.Fprintf(&b, "%-6s  %-*s  %s\n", figure, wide, name, title) }
	line("FIGURE", "NAME", "WHAT HAPPENS")
	for i, f := range flows {
		if f.Variant != "" && flows[i-1].Variant == "" { // the first flow is no variant
			fmt.Fprintln(&b, "\n        VARIANTS")
		}
		line(f.Figure, f.Name, f.Title)
	}
	_, err = io.WriteString(c.io.out, b.String())
	return err
}

// show draws all calls of the flow as one ladder.
func (c *scenarioCommand) show(d drawing, flow *scenario.Flow, result *scenario.Result, run *session) error {
	var calls []correlate.Call
	for _, num := range run.board.Numbers() {
		if call, ok := run.board.Call(num); ok {
			calls = append(calls, call)
		}
	}
	for address, name := range flow.Aliases() {
		if _, given := d.opts.Aliases[address]; !given {
			d.opts.Aliases[address] = name
		}
	}
	for i := range flow.Hosts {
		d.opts.Order = append(d.opts.Order, flow.Hosts[i].Addr)
	}
	d.opts.Source, d.opts.Of = flow.Name, len(calls)
	d.opts.Accounting = accountingLine(run.board)
	if c.explain {
		d.opts.Explain = explanation(flow, result, calls)
	}
	out := bufio.NewWriter(c.io.out)
	texts := func(call, message int) []byte { return run.text(&calls[call], message) }
	if err := d.draw(out, calls, texts); err != nil {
		return err
	}
	return out.Flush()
}

// explanation tells of each message what the flow says of its step. Messages and what was seen have the same order.
func explanation(flow *scenario.Flow, result *scenario.Result, calls []correlate.Call) func(call, message int) string {
	type place struct{ call, message int }
	var all []place
	for i := range calls {
		for k := range calls[i].Messages {
			all = append(all, place{i, k})
		}
	}
	slices.SortFunc(all, func(a, b place) int {
		return cmp.Compare(calls[a.call].Messages[a.message].Seq, calls[b.call].Messages[b.message].Seq)
	})
	step := make(map[place]int, len(all))
	for i, p := range all {
		if i < len(result.Steps) && result.Steps[i] >= 0 {
			step[p] = result.Steps[i] + 1
		}
	}
	return func(call, message int) string {
		k := step[place{call, message}]
		if k == 0 {
			return ""
		}
		s := &flow.Steps[k-1]
		if s.RFC == "" {
			return s.Why
		}
		return s.Why + " [" + s.RFC + "]"
	}
}

// verdict compares what the analyzer counts with what the flow expects.
func (c *scenarioCommand) verdict(flow *scenario.Flow, played error, board *correlate.Board) error {
	if played != nil {
		return nothingError{played.Error()}
	}
	var got scenario.Expect
	for _, num := range board.Numbers() {
		if call, ok := board.Call(num); ok {
			got.Transactions += len(call.Transactions)
			for i := range call.Dialogs {
				if call.Dialogs[i].State != correlate.DialogEarly {
					got.Dialogs++
				}
			}
			got.Early += int(call.EarlyDialogs)
			got.Retransmissions += int(call.Retransmissions)
			got.State = call.State.String()
		}
	}
	if diff := flow.Expect.Differs(got); diff != "" {
		return nothingError{fmt.Sprintf("flow %s: the analyzer sees %s", flow.Name, diff)}
	}
	return nil
}
