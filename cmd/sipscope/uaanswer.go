package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"sipscope/element/ua"
)

// answerCommand is "sipscope ua answer".
type answerCommand struct {
	uaFlags

	ring, delay time.Duration
	code        int
	reason      string
	early       bool
	rel         bool
	talk        time.Duration
	redirect    []string
	refer       bool
	calls       int
	registrar   string
	limit       int
}

func newAnswer(std stdio) *cobra.Command {
	c := &answerCommand{uaFlags: uaFlags{elementFlags: elementFlags{input: input{io: std}}}}
	cmd := &cobra.Command{
		Use:   "answer",
		Short: "Answer calls, or refuse them as told",
		Long: `Wait for calls and answer them: ring, answer after a time, refuse with a code, redirect. MESSAGE, OPTIONS, INFO and
requests within a call are answered as well. Ctrl-C hangs up what is left.`,
		Example: `  sipscope ua answer --listen udp:0.0.0.0:5060
  sipscope ua answer --ring 1s --delay 4s --media echo --talk 30s
  sipscope ua answer --code 486
  sipscope ua answer --redirect sip:bob@192.0.2.9
  sipscope ua answer --registrar sip:b.com --from sip:bob@b.com --password-file pw
  sipscope ua answer --listen udp:127.0.0.1:5070 --format none --media none`,
		Args: cobra.NoArgs,
		RunE: c.run,
	}
	f := cmd.Flags()
	f.DurationVar(&c.ring, "ring", 0, "ring (180) so long after the INVITE; negative: do not ring")
	f.DurationVar(&c.delay, "delay", 0, "give the final answer so long after the INVITE; negative: never")
	f.IntVar(&c.code, "code", 200, "the final answer")
	f.StringVar(&c.reason, "reason", "", "its phrase (default: the usual one)")
	f.BoolVar(&c.early, "early-media", false, "ring with a session description (183)")
	f.BoolVar(&c.rel, "reliably", false, "ring reliably (RFC 3262), where the caller can")
	f.DurationVar(&c.talk, "talk", 0, "hang up so long after the answer (default: when the caller does)")
	f.StringArrayVar(&c.redirect, "redirect", nil, "answer 302 with this URI (repeatable)")
	f.BoolVar(&c.refer, "refer", false, "do what a REFER asks for: call others")
	f.IntVar(&c.calls, "calls", 0, "stop after so many calls have ended")
	f.StringVar(&c.registrar, "registrar", "", "register --from there, such as sip:b.com, and keep it registered")
	f.IntVar(&c.limit, "max-open", 100000, "calls at a time; further ones get 486")
	c.callFlags(f)
	c.flags(f)
	f.Lookup("listen").DefValue = "[udp:0.0.0.0:5060,tcp:0.0.0.0:5060]"
	return cmd
}

func (c *answerCommand) run(cmd *cobra.Command, _ []string) error {
	if !cmd.Flags().Changed("listen") {
		cmd.Flags().Lookup("listen").Changed = true // not the ports of a client
		c.listen = serverListen()
	}
	if err := c.check(cmd); err != nil {
		return err
	}
	answer := ua.Answer{
		Ring: c.ring, Delay: c.delay, Code: c.code, Reason: c.reason, EarlyMedia: c.early, Reliable: c.rel, Talk: c.talk,
	}
	if c.early {
		answer.RingCode = 183
	}
	for _, uri := range c.redirect {
		if answer.Code/100 != 3 {
			answer.Code = 302
		}
		answer.Contacts = append(answer.Contacts, "<"+uri+">")
	}
	var w *answering
	p, err := c.phone(cmd.Context(), cmd, "ua answer", "", func(p *phone, cfg *ua.Config) {
		w = &answering{c: c, p: p}
		cfg.Recycle = c.media == "none" // nothing here keeps a call
		cfg.Answer, cfg.Refer, cfg.Events, cfg.Limits.Calls = answer, c.refer, w.event, c.limit
	})
	if err != nil {
		return err
	}
	p.waits = true
	p.told("user agent")
	err = p.play(cmd.Context(), func() error {
		if c.registrar == "" {
			return nil
		}
		_, registerErr := p.agent.Register(ua.RegisterOptions{Registrar: c.registrar, Retry: 30 * time.Second})
		return registerErr
	})
	if !c.quiet {
		st := p.agent.Stats()
		fmt.Fprintf(c.io.err, "%s, %d answered\n", plural(int(st.CallsIn), "call"), st.Answered) //nolint:gosec // a count
	}
	return err
}

// check finds flags that cannot be meant.
func (c *answerCommand) check(cmd *cobra.Command) error {
	if c.code < 200 || c.code > 699 {
		return usagef("it is from 200 to 699", "--code %d is no final answer", c.code)
	}
	if len(c.redirect) > 0 && cmd.Flags().Changed("code") && c.code/100 != 3 {
		return usagef("leave one of them out", "--redirect answers 302, not %d", c.code)
	}
	for _, uri := range c.redirect {
		if err := checkURI("--redirect", uri); err != nil {
			return err
		}
	}
	return nil
}

// answering counts calls.
type answering struct {
	c    *answerCommand
	p    *phone
	over int
}

func (w *answering) event(e ua.Event) {
	switch e.Kind {
	case ua.EventEnded:
		if w.over++; w.c.calls > 0 && w.over >= w.c.calls {
			defer w.p.finish("", nil)
		}
	case ua.EventUnregistered:
		if e.Status >= 300 || e.Err != nil {
			w.p.remark(fmt.Sprintf("not registered at %s: %s", w.c.registrar, answeredWith(&e, e.At)))
		}
	case ua.EventMessage:
		w.p.remark(fmt.Sprintf("message: %s", e.Body))
	default:
	}
	w.p.event(e)
}
