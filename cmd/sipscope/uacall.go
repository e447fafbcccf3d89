package main

import (
	"fmt"
	"runtime/debug"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"sipscope/decode/sip"
	"sipscope/element/ua"
	"sipscope/element/ua/load"
)

// callCommand is "sipscope ua call".
type callCommand struct {
	uaFlags

	ring, talk   time.Duration
	noOffer      bool
	redirects    int
	hold, resume time.Duration
	dtmf         string
	refer        string
	rate         float64
	calls        int
	concurrent   int
}

func newCall(std stdio) *cobra.Command {
	c := &callCommand{uaFlags: uaFlags{elementFlags: elementFlags{input: input{io: std}}}}
	cmd := &cobra.Command{
		Use:   "call URI",
		Short: "Call somebody; or make many calls a second",
		Long: `Call a URI, talk, and hang up. The exit code is 0 when the call was answered and ended by a BYE, else 1.

With --rate and --calls it makes many calls, and prints counts, response times and a table of failures. Calls begin when they
are due, however slow the answers are. --concurrent limits how many there are at a time.`,
		Example: `  sipscope ua call sip:bob@192.0.2.1
  sipscope ua call 'sip:bob@b.com;transport=tcp' --from sip:alice@a.com --password-file pw --talk 10s --pcap call.pcapng
  sipscope ua call sip:echo@192.0.2.1 --media hello.wav --record heard.wav --dtmf 123#
  sipscope ua call sip:bob@b.com --route 'sip:127.0.1.1;lr' --hold 1s --resume 2s
  sipscope ua call sip:bob@127.0.0.1:5070 --rate 100 --calls 10000 --concurrent 2000 --talk 0s --format none`,
		Args: cobra.ExactArgs(1),
		RunE: c.run,
	}
	f := cmd.Flags()
	f.DurationVar(&c.ring, "ring", 0, "give up (CANCEL) when nobody has answered after this time (default: wait)")
	f.DurationVar(&c.talk, "talk", 5*time.Second, "hang up so long after the answer; with 0s at once, negative: until the other side does")
	f.BoolVar(&c.noOffer, "no-offer", false, "leave the offer to the other side")
	f.IntVar(&c.redirects, "redirects", 0, "contacts of 3xx answers that are tried: hosts that the command line does not name (default: none)")
	f.DurationVar(&c.hold, "hold", 0, "hold the call so long after the answer")
	f.DurationVar(&c.resume, "resume", 0, "end the hold so long after it began")
	f.StringVar(&c.dtmf, "dtmf", "", "digits to send once the call is answered (RFC 4733)")
	f.StringVar(&c.refer, "refer", "", "a second after the answer, ask the other side to call this URI (REFER)")
	f.Float64Var(&c.rate, "rate", 0, "calls a second, of --calls")
	f.IntVar(&c.calls, "calls", 0, "calls in all, with --rate")
	f.IntVar(&c.concurrent, "concurrent", 0, "calls at a time, with --rate (default: ten seconds of the rate)")
	c.callFlags(f)
	c.flags(f)
	return cmd
}

func (c *callCommand) run(cmd *cobra.Command, args []string) error {
	to, err := target(args[0])
	if err != nil {
		return err
	}
	if err = c.check(); err != nil {
		return err
	}
	many := c.rate != 0 || c.calls != 0 || c.concurrent != 0
	if many {
		if c.rate <= 0 || c.calls <= 0 {
			return usagef("try: --rate 100 --calls 10000", "a load needs --rate and --calls")
		}
		if !cmd.Flags().Changed("media") {
			c.media = "none"
		}
		if c.concurrent == 0 {
			c.concurrent = max(int(c.rate*10), 10)
		}
	}
	p, err := c.phone(cmd.Context(), cmd, "ua call", to, func(_ *phone, cfg *ua.Config) {
		cfg.Recycle = many
		cfg.Answer = ua.Answer{Ring: -1, Code: 480}
	})
	if err != nil {
		return err
	}
	opt := ua.CallOptions{To: to, NoOffer: c.noOffer, Ring: c.ring, Redirects: c.redirects, Talk: c.talk}
	if many {
		return c.load(cmd, p, opt)
	}
	k := &calling{c: c, p: p}
	opt.Events = k.event
	switch {
	case c.talk == 0:
		opt.Talk = time.Nanosecond
	case c.talk < 0:
		opt.Talk = 0
	}
	return p.play(cmd.Context(), func() error {
		k.begun = p.agent.Now()
		call, err := p.agent.Call(opt)
		k.call = call
		return err
	})
}

// check finds flags that cannot be meant.
func (c *callCommand) check() error {
	switch one := c.hold != 0 || c.resume != 0 || c.dtmf != "" || c.refer != "" || c.record != ""; {
	case one && c.rate != 0:
		return usagef("leave out --rate", "--hold, --resume, --dtmf, --refer and --record are for one call")
	case c.resume != 0 && c.hold == 0:
		return usagef("try: --hold 1s --resume 2s", "--resume needs --hold")
	case c.hold < 0 || c.resume < 0 || c.ring < 0:
		return usagef("it is the time to wait, such as 2s", "--hold, --resume and --ring cannot be negative")
	case strings.Trim(c.dtmf, "0123456789*#ABCDabcd") != "":
		return usagef("digits are 0-9, *, # and A-D", "--dtmf %q has others", c.dtmf)
	}
	if c.refer != "" {
		return checkURI("--refer", c.refer)
	}
	return nil
}

// checkURI wants a SIP URI without what would end it in a header.
func checkURI(flag, text string) error {
	if _, ok := sip.ParseURI([]byte(text)); !ok || strings.ContainsAny(text, "<>\r\n\" ,") || !strings.HasPrefix(text, "sip") {
		return usagef("try: "+flag+" sip:carol@192.0.2.3", "%s %q is no SIP URI", flag, text)
	}
	return nil
}

// calling is one call on its way.
type calling struct {
	c     *callCommand
	p     *phone
	call  *ua.Call
	begun int64
	held  bool // the hold that was asked for has begun
}

func (k *calling) event(e ua.Event) {
	k.p.tell(e)
	switch e.Kind {
	case ua.EventAnswered:
		k.answered(e)
	case ua.EventModified:
		k.modified(e)
	case ua.EventReferred:
		k.p.remark(fmt.Sprintf("the transfer goes on: %d %s", e.Status, sip.ReasonPhrase(e.Status)))
	case ua.EventRefused:
		k.p.remark(fmt.Sprintf("%s was refused: %d %s", e.Method, e.Status, e.Text))
	case ua.EventEnded:
		k.ended(e)
	default:
	}
}

// at does something later, and says why it was not possible.
func (k *calling) at(when int64, what string, f func() error) {
	k.p.agent.At(when, func(int64) {
		if err := f(); err != nil {
			k.p.remark(fmt.Sprintf("%s: %v", what, err))
		}
	})
}

// modified ends the hold in time, which began when the other side agreed.
func (k *calling) modified(e ua.Event) {
	if local, _ := e.Call.Held(); k.c.hold > 0 && k.c.resume > 0 && local && !k.held {
		k.held = true
		k.at(e.At+int64(k.c.resume), "resume", e.Call.Resume)
	}
}

// answered does what is planned for the call.
func (k *calling) answered(e ua.Event) {
	at := func(after time.Duration, what string, f func() error) { k.at(e.At+int64(after), what, f) }
	if c := k.c; c.hold > 0 {
		at(c.hold, "hold", e.Call.Hold)
	}
	const soon = 200 * time.Millisecond // the other side's sound is there
	if sound, ok := e.Call.Stream().(*ua.SoundStream); ok && k.c.dtmf != "" {
		at(soon, "--dtmf", func() error { return sound.SendDigits(k.c.dtmf) })
	}
	if k.c.refer != "" {
		at(time.Second, "--refer", func() error {
			_, err := e.Call.Refer(k.c.refer, nil)
			return err
		})
	}
}

func (k *calling) ended(e ua.Event) {
	begun, rang, answered, _, ended := e.Call.Times()
	var parts []string
	after := func(what string, at int64) {
		if at > 0 {
			parts = append(parts, fmt.Sprintf("%s after %s", what, time.Duration(at-begun).Round(100*time.Microsecond)))
		}
	}
	after("rang", rang)
	after("answered", answered)
	by := "us"
	if e.Remote {
		by = "the other side"
	}
	end := "ended by " + by
	if e.Cause != ua.CauseBye {
		end = fmt.Sprintf("%s by %s", e.Cause, by)
	}
	switch {
	case e.Err != nil: // nobody said so
		end = e.Cause.String()
	case e.Status >= 300:
		end = fmt.Sprintf("%d %s", e.Status, e.Text)
	}
	if answered > 0 {
		end += fmt.Sprintf(" after %s of talk", time.Duration(ended-answered).Round(100*time.Microsecond))
	}
	var bad error
	if answered == 0 || e.Cause != ua.CauseBye {
		bad = fmt.Errorf("the call failed: %s", end)
		if e.Err != nil {
			bad = fmt.Errorf("%w: %w", bad, e.Err)
		}
	}
	k.p.finish(strings.Join(append(parts, end), ", "), bad)
}

// gcLoad lets the heap grow to five times what lives while calls are made at a rate: what lives is some 20 MB, and a
// collection beside the loop makes datagrams wait.
const gcLoad = 400

// load makes many calls.
func (c *callCommand) load(cmd *cobra.Command, p *phone, opt ua.CallOptions) error {
	l, err := load.New(p.agent, load.Options{
		Call: opt, Rate: c.rate, Calls: c.calls, Concurrent: c.concurrent, Hold: max(c.talk, 0), Done: func() { p.finish("", nil) },
	})
	if err != nil {
		_ = p.end.Close() // it never ran
		_ = p.close()
		return usageError{err: err}
	}
	p.waits, p.stopping = true, l.Stop
	defer debug.SetGCPercent(debug.SetGCPercent(gcLoad))
	err = p.play(cmd.Context(), func() error { l.Start(); return nil })
	if err != nil {
		return err
	}
	r := l.Report()
	if c.format == "json" {
		if p.events.write(loadJSON(&r)); p.events.err != nil {
			return p.events.err
		}
	} else {
		fmt.Fprint(c.io.out, loadText(&r))
	}
	if r.Succeeded != r.Started || r.Started == 0 {
		return nothingError{fmt.Sprintf("%d of %d calls failed", r.Started-r.Succeeded, r.Started)}
	}
	return nil
}
