package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"sipscope/correlate/diff"
	"sipscope/element/replay/many"
	"sipscope/element/replay/plan"
)

// replayCommand is "sipscope replay": a recorded flow played as a living one.
type replayCommand struct {
	elementFlags // of the run: sockets, names, packets
	ruleFlags

	from  input // the recording
	calls []string
	all   bool

	// Who plays whom, where.
	sut         string
	sutIs       string
	as          []string
	self        bool
	cut         bool
	bind        []string
	allow       []string
	allowPublic []string

	// What is sent.
	creds     []string
	users     []string
	domains   []string
	maps      []string
	sets      []string
	speed     float64
	fast      bool
	keepRing  bool
	verbatim  bool
	play      string // --media
	onDiverge string
	patience  time.Duration
	t1        time.Duration

	// What is told.
	dry      bool
	yes      bool
	savePlan string
	force    bool
	show     string // --format
	report   string
	tui      bool
	ascii    bool

	load loadFlags
}

// loadFlags are those of many plays.
type loadFlags struct {
	repeat      int
	rate        float64
	concurrent  int
	csv         string
	findMax     bool
	hold        time.Duration
	maxRate     float64
	failures    uint64
	divergences uint64
	noDiff      bool
}

func newReplay(std stdio) *cobra.Command {
	c := &replayCommand{elementFlags: elementFlags{input: input{io: std}}, from: input{io: std}}
	cmd := &cobra.Command{
		Use:   "replay [PLAN.yaml | CAPTURE...]",
		Short: "Play a recorded flow against a server as a living dialog, and show where it goes otherwise",
		Long: `Play a recorded flow again: the calls become a plan of steps, one participant is the live server, and every other that talked
to it is played, each on its own socket. Call-IDs, tags, branches, addresses, CSeqs, Routes and digest answers are those
of the living dialogs; all else stays as recorded, byte for byte. Then the recorded flow and the live one are compared as
by "sipscope diff", and the first divergence is named.

Without --sut and --self nothing is sent: the plan is printed. --self plays all participants on loopback addresses, which
shows whether the flow can be replayed at all. A plan can be saved with --save-plan, edited, and named instead of a capture.

What will be sent, to whom and how often, is shown before the first packet; on a terminal it asks, elsewhere it takes
--yes. It sends to the server named with --sut, to --allow and nobody else, whatever the capture says; public addresses
take --allow-public, too. With --repeat it plays many times, at --rate, and prints figures; --find-max looks for the highest
rate at which all plays go well.

Exit codes: 0 as recorded, 1 diverged, 2 usage, 3 it could not be played. See docs/replay.md.`,
		Example: `  sipscope replay call.pcapng --call 1
  sipscope replay call.pcapng --call 1 --self
  sipscope replay call.pcapng --call 1 --sut 127.0.0.1:5070 --cred example.com:alice:secret
  sipscope replay call.pcapng --call 1 --sut 'sip:10.0.0.5;transport=tcp' --sut-is 192.0.2.10 --yes -O run.pcapng
  sipscope replay call.pcapng --call 1 --save-plan call.yaml; sipscope replay call.yaml --sut 127.0.0.1:5070
  sipscope replay call.yaml --sut 127.0.0.1:5070 --repeat 5000 --rate 200 --csv users.csv --user 'alice={user}' --fast --yes
  sipscope replay call.yaml --sut 127.0.0.1:5070 --find-max --fast --yes`,
		RunE: c.run,
	}
	f := cmd.Flags()
	c.planFlags(f)
	c.sendFlags(f)
	c.tellFlags(f)
	c.load.flags(f)
	c.ruleFlags.flags(f)
	c.runFlags(f)
	return cmd
}

// planFlags say what is read, and who plays whom.
func (c *replayCommand) planFlags(f *pflag.FlagSet) {
	f.StringArrayVarP(&c.from.files, "input", "I", nil, "capture to read (repeatable; also as plain arguments, - for standard input)")
	f.IntVarP(&c.from.workers, "jobs", "j", 0, "decoding workers (default: one a core)")
	c.from.keyLogFlag(f)
	c.from.filterFlags(f)
	f.StringArrayVar(&c.calls, "call", nil, "call by number, Call-ID or a beginning of it (repeatable: played together, as recorded)")
	f.BoolVar(&c.all, "all", false, "all calls of the capture, played together, as recorded")
	f.StringVar(&c.sut, "sut", "", "the live server: HOST, HOST:PORT or a SIP URI, such as 'sip:10.0.0.5;transport=tcp'")
	f.StringVar(&c.sutIs, "sut-is", "", "the recorded participant that it stands for: ADDRESS, ADDRESS:PORT or name (default: a rule, which is printed)")
	f.StringSliceVar(&c.as, "as", nil, "play these participants only (default: all that talked to it)")
	f.BoolVar(&c.self, "self", false, "play all participants on loopback addresses: nothing leaves this machine")
	f.BoolVar(&c.cut, "cut-proxies", false, "leave proxies other than the live server out of the path, instead of playing them")
	f.StringArrayVar(&c.bind, "bind", nil, "NAME=ADDRESS:PORT where a participant listens (repeatable; also NAME=tcp:ADDRESS:PORT)")
	f.StringArrayVar(&c.allow, "allow", nil, "also send to ADDRESS, ADDRESS:PORT or ADDRESS/BITS (repeatable)")
	f.StringArrayVar(&c.allowPublic, "allow-public", nil, "HOST, ADDRESS or ADDRESS/BITS that may be sent to though it is public (repeatable)")
}

// sendFlags say what is sent, and when.
func (c *replayCommand) sendFlags(f *pflag.FlagSet) {
	f.StringArrayVar(&c.creds, "cred", nil, "REALM:USER:PASSWORD for challenges, or @FILE with such lines, which no list of processes shows (repeatable; an empty realm: any)")
	f.StringArrayVar(&c.users, "user", nil, "OLD=NEW: another user in URIs and credentials (repeatable)")
	f.StringArrayVar(&c.domains, "domain", nil, "OLD=NEW: another domain in URIs (repeatable)")
	f.StringArrayVar(&c.maps, "map", nil, "HOST:PORT=HOST:PORT: another address wherever it stands, which may be sent to (repeatable)")
	f.StringArrayVar(&c.sets, "set", nil, "header.NAME=VALUE: another value of a header in our requests; empty removes it (repeatable)")
	f.Float64Var(&c.speed, "speed", 1, "times as fast as recorded: 2 halves the pauses")
	f.BoolVar(&c.fast, "fast", false, "as fast as the dialogs allow, without pauses")
	f.BoolVar(&c.keepRing, "keep-ringing", false, "with --fast: ring as long as recorded")
	f.BoolVar(&c.verbatim, "verbatim", false, "send the dead bytes at the recorded times, retransmissions too; nothing is rewritten")
	f.StringVar(&c.play, "media", "auto", "auto sends the recorded RTP, tone or FILE.wav something else in its place, off none")
	f.StringVar(&c.onDiverge, "on-diverge", "recover", "recover (end politely), continue, or abort (end at once)")
	f.DurationVar(&c.patience, "patience", 0, "how much later than recorded an answer or a request may come (default: 64*T1, 32s)")
	f.DurationVar(&c.t1, "t1", 500*time.Millisecond, "T1, the estimate of the round trip (RFC 3261 table 4)")
}

// tellFlags say what is told.
func (c *replayCommand) tellFlags(f *pflag.FlagSet) {
	f.BoolVar(&c.dry, "dry-run", false, "print the plan and who would be sent to, and send nothing")
	f.BoolVarP(&c.yes, "yes", "y", false, "do not ask before sending")
	f.StringVar(&c.savePlan, "save-plan", "", "write the plan to FILE.yaml, to be edited and played")
	f.BoolVar(&c.force, "force", false, "--save-plan overwrites an existing plan")
	f.StringVar(&c.show, "format", "text", "of the result: text, json, junit or html")
	f.StringVar(&c.report, "report", "", "write the result to a file, too: .html, .json, .xml (JUnit) or .txt")
	f.BoolVar(&c.tui, "tui", false, "look at the result in the terminal UI")
	f.BoolVar(&c.ascii, "ascii", false, "draw with nothing but ASCII")
	f.StringVarP(&c.live.write, "pcap", "O", "", "write all packets to a pcapng file (.pcap: classic; .zst: compressed)")
}

// flags adds those of many plays.
func (l *loadFlags) flags(f *pflag.FlagSet) {
	f.IntVar(&l.repeat, "repeat", 0, "play so often")
	f.Float64Var(&l.rate, "rate", 0, "plays begun a second (default: 10)")
	f.IntVar(&l.concurrent, "concurrent", 0, "plays at a time at most (default: as many as the rate and the recorded time need, twice)")
	f.StringVar(&l.csv, "csv", "", "file with a line of names and a row of values a play: {name} stands for them in --user, --domain, --set, --cred")
	f.BoolVar(&l.findMax, "find-max", false, "find the highest rate at which all plays go well")
	f.DurationVar(&l.hold, "hold", 10*time.Second, "with --find-max: how long each rate is tried")
	f.Float64Var(&l.maxRate, "max-rate", 10_000, "with --find-max: try no higher rate")
	f.Uint64Var(&l.failures, "stop-failures", 0, "begin no further play after so many failed (default: go on)")
	f.Uint64Var(&l.divergences, "stop-divergences", 0, "begin no further play after so many diverged (default: go on)")
	f.BoolVar(&l.noDiff, "no-diff", false, "do not record the plays: faster, but divergent ones are not drawn")
}

// runFlags takes those of all elements that fit.
func (c *replayCommand) runFlags(f *pflag.FlagSet) {
	all := pflag.NewFlagSet("element", pflag.ContinueOnError)
	c.elementFlags.flags(all)
	all.VisitAll(func(flag *pflag.Flag) {
		if f.Lookup(flag.Name) == nil && flag.Name != "listen" {
			f.AddFlag(flag)
		}
	})
	c.format = "none"
	c.listen = nil
}

// check finds flags that cannot be meant.
func (c *replayCommand) check(cmd *cobra.Command) error {
	for _, err := range [...]error{
		oneOf("--format", c.show, "text", "json", "junit", "html"),
		oneOf("--on-diverge", c.onDiverge, "recover", "continue", "abort"),
	} {
		if err != nil {
			return err
		}
	}
	self := "--self and --%s do not go together: with --self nobody is live"
	err := firstWrong(
		wrong{c.self && c.sut != "", "leave one of them out", fmt.Sprintf(self, "sut")},
		wrong{c.self && c.sutIs != "", "leave one of them out", fmt.Sprintf(self, "sut-is")},
		wrong{c.self && len(c.allow)+len(c.allowPublic) > 0, "nothing leaves this machine", "with --self nobody else is sent to: leave --allow out"},
		wrong{!(c.speed > 0 && c.speed <= 1e6), "try: --speed 2", fmt.Sprintf("--speed %v is none", c.speed)},
		wrong{c.keepRing && !c.fast, "without --fast all times are kept", "--keep-ringing needs --fast"},
		wrong{c.patience < 0 || c.t1 <= 0, "they are times, such as 10s", "--patience and --t1 cannot be negative"},
		wrong{
			c.report != "" && reportFormat(c.report) == "", "it ends in .html, .json, .xml or .txt",
			"--report " + c.report + ": no format has this ending",
		},
		wrong{c.savePlan != "" && !isPlan(c.savePlan), "try: --save-plan call.yaml", "--save-plan " + c.savePlan + " does not end in .yaml"},
	)
	if err != nil {
		return err
	}
	if c.tui {
		if err := checkPair(cmd, c.io, "format", "dry-run"); err != nil {
			return err
		}
	}
	return c.load.check(c)
}

// wrong is something that flags cannot mean.
type wrong struct {
	is         bool
	hint, text string
}

// firstWrong is the first of them that is, as an error.
func firstWrong(all ...wrong) error {
	for _, w := range all {
		if w.is {
			return usagef(w.hint, "%s", w.text)
		}
	}
	return nil
}

// check finds flags of many plays that cannot be meant.
func (l *loadFlags) check(c *replayCommand) error {
	several := l.many()
	return firstWrong(
		wrong{
			l.repeat < 0 || l.concurrent < 0 || !(l.rate >= 0 && l.rate <= many.MaxRate), "try: --repeat 1000 --rate 50",
			"--repeat, --rate or --concurrent is out of range",
		},
		wrong{l.findMax && l.repeat > 0, "--hold says how long a rate is tried", "--find-max and --repeat do not go together"},
		wrong{
			l.hold <= 0 || !(l.maxRate > 0 && l.maxRate <= many.MaxRate), "try: --hold 10s --max-rate 10000",
			"--hold or --max-rate is out of range",
		},
		wrong{
			!several && (l.rate > 0 || l.concurrent > 0 || l.failures+l.divergences > 0 || l.noDiff), "try: --repeat 1000 --rate 50",
			"--rate, --concurrent, --stop-... and --no-diff are for many plays",
		},
		wrong{several && c.tui, "leave one of them out", "--tui shows one play, not many"},
	)
}

// many reports whether there is more than one play.
func (l *loadFlags) many() bool { return l.repeat > 0 || l.findMax || l.csv != "" }

// isPlan reports whether a file is a plan by its name.
func isPlan(path string) bool {
	ext := strings.ToLower(filepath.Ext(path))
	return ext == ".yaml" || ext == ".yml"
}

// cannotRunError ends with exit code 3: what was to be played could not be.
type cannotRunError struct {
	err  error
	hint string
}

func (e cannotRunError) Error() string { return e.err.Error() }
func (e cannotRunError) Unwrap() error { return e.err }

func (c *replayCommand) run(cmd *cobra.Command, args []string) error {
	if err := c.check(cmd); err != nil {
		return err
	}
	rules, err := c.rules(cmd)
	if err != nil {
		return err
	}
	r := &replaying{c: c, rules: rules}
	if err = r.flagsToOptions(); err != nil {
		return err
	}
	if r.plan, err = c.makePlan(cmd, args); err != nil {
		return planError(err)
	}
	r.size()
	r.alone()
	if err = c.save(cmd.Context(), r.plan); err != nil {
		return err
	}
	if c.sut == "" && !c.self { // nobody is there to play with: what would be sent is shown
		return r.plan.WriteText(c.out())
	}
	return r.carryOut(cmd.Context())
}

// rules are those that the two flows are compared by.
func (c *replayCommand) rules(cmd *cobra.Command) (diff.Rules, error) {
	rules, err := c.ruleFlags.rules()
	if err != nil {
		return diff.Rules{}, err
	}
	rules.Replayed = true
	if c.self && !cmd.Flags().Changed("late") { // how late we are says nothing of the flow
		rules.Late = -1
	}
	rules.Challenges = true // the four cases of authentication are no divergence
	return rules, nil
}

// carryOut finds the way to who is live, and plays, or says what would be sent.
func (r *replaying) carryOut(ctx context.Context) error {
	if err := r.reach(ctx); err != nil {
		return err
	}
	if r.c.dry {
		return r.dryRun()
	}
	if err := r.consent(ctx); err != nil {
		return err
	}
	return r.play(ctx)
}

// out is where results go.
func (c *replayCommand) out() *os.File { return c.io.out }

// say says something on stderr.
func (c *replayCommand) say(format string, args ...any) {
	if !c.quiet {
		fmt.Fprintf(c.io.err, "sipscope: %s\n", oneLine(fmt.Sprintf(format, args...)))
	}
}

// planError gives the exit codes of what keeps a capture from being a plan.
func planError(err error) error {
	switch {
	case errors.Is(err, plan.ErrSUT):
		return usageError{err: err, hint: "see the participants without --sut-is; --sut-is takes an address, address:port or name"}
	case errors.Is(err, plan.ErrNothing), errors.Is(err, plan.ErrTooLarge), errors.Is(err, plan.ErrPlan):
		return cannotRunError{err: err}
	}
	return err
}
