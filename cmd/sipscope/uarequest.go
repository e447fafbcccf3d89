package main

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"sipscope/element/ua"
)

// registerCommand is "sipscope ua register".
type registerCommand struct {
	uaFlags

	registrar string
	contacts  []string
	expires   int
	once      bool
	remove    bool
}

func newRegister(std stdio) *cobra.Command {
	c := &registerCommand{uaFlags: uaFlags{elementFlags: elementFlags{input: input{io: std}}}}
	cmd := &cobra.Command{
		Use:   "register AOR",
		Short: "Register an address, and keep it registered",
		Long: `Bind an address of record to where we are. The binding is refreshed before it expires, and removed by Ctrl-C. With --once it
stays when the command has ended; --remove removes all bindings of the address.`,
		Example: `  sipscope ua register sip:bob@b.com --password-file pw
  sipscope ua register sip:bob@b.com --registrar sip:192.0.2.1 --expires 600 --once
  sipscope ua register sip:bob@b.com --contact 'sip:bob@192.0.2.9;q=0.5' --once
  sipscope ua register sip:bob@b.com --remove`,
		Args: cobra.ExactArgs(1),
		RunE: c.run,
	}
	f := cmd.Flags()
	f.StringVar(&c.registrar, "registrar", "", "the Request-URI, such as sip:192.0.2.1 (default: the domain of the address)")
	f.StringArrayVar(&c.contacts, "contact", nil, "URI to bind (repeatable; default: our own address)")
	f.IntVar(&c.expires, "expires", 3600, "seconds to ask for")
	f.BoolVar(&c.once, "once", false, "end when the binding is made, and leave it")
	f.BoolVar(&c.remove, "remove", false, "remove all bindings of the address")
	c.flags(f)
	return cmd
}

func (c *registerCommand) run(cmd *cobra.Command, args []string) error {
	aor, err := target(args[0])
	if err != nil {
		return err
	}
	if c.from == "" {
		c.from = aor
	}
	if c.expires < 1 {
		return usagef("to end all bindings of the address: --remove", "--expires %d is no time", c.expires)
	}
	var p *phone
	var begun int64
	opt := c.options(aor)
	opt.Events = func(e ua.Event) { c.event(p, &e, begun) }
	if p, err = c.phone(cmd.Context(), cmd, "ua register", aor, func(*phone, *ua.Config) {}); err != nil {
		return err
	}
	p.leave = c.once
	return p.play(cmd.Context(), func() error {
		begun = p.agent.Now()
		_, err := p.agent.Register(opt)
		return err
	})
}

// options reads the flags.
func (c *registerCommand) options(aor string) ua.RegisterOptions {
	opt := ua.RegisterOptions{Registrar: c.registrar, AOR: "<" + aor + ">", Expires: c.expires, Once: c.once, RemoveAll: c.remove}
	if opt.Registrar == "" {
		scheme, rest, _ := strings.Cut(aor, ":")
		_, host, found := strings.Cut(rest, "@")
		if !found {
			host = rest
		}
		opt.Registrar = scheme + ":" + host
	}
	for _, uri := range c.contacts {
		if name, q, ok := strings.Cut(uri, ";q="); ok {
			opt.Contacts = append(opt.Contacts, "<"+name+">;q="+q)
		} else {
			opt.Contacts = append(opt.Contacts, "<"+uri+">")
		}
	}
	return opt
}

func (c *registerCommand) event(p *phone, e *ua.Event, begun int64) {
	p.tell(*e)
	failed := e.Status >= 300 || e.Err != nil
	switch {
	case e.Kind == ua.EventRegistered && !c.remove:
		say := fmt.Sprintf("registered for %d s", e.Expires)
		if c.once {
			p.finish(say, nil)
		} else {
			p.waits = true // Ctrl-C ends it well
			p.remark(say)
		}
	case e.Kind == ua.EventUnregistered && failed:
		p.finish("", errors.New("not registered: "+answeredWith(e, begun)))
	case e.Kind == ua.EventUnregistered && c.remove:
		p.finish("all bindings removed", nil)
	default:
	}
}

// messageCommand is "sipscope ua message".
type messageCommand struct {
	uaFlags

	kind string
}

func newMessage(std stdio) *cobra.Command {
	c := &messageCommand{uaFlags: uaFlags{elementFlags: elementFlags{input: input{io: std}}}}
	cmd := &cobra.Command{
		Use:   "message URI TEXT",
		Short: "Send a short message",
		Long:  `Send a MESSAGE (RFC 3428). The text - is read from standard input. The exit code is 0 when it was accepted.`,
		Example: `  sipscope ua message sip:bob@b.com 'Lunch at one?'
  sipscope ua message sip:bob@192.0.2.1 - --type application/xml < state.xml`,
		Args: cobra.ExactArgs(2),
		RunE: c.run,
	}
	f := cmd.Flags()
	f.StringVar(&c.kind, "type", "text/plain", "media type of the text")
	c.flags(f)
	return cmd
}

// maxText bounds what is read for a message.
const maxText = 1 << 20

func (c *messageCommand) run(cmd *cobra.Command, args []string) error {
	to, err := target(args[0])
	if err != nil {
		return err
	}
	body := []byte(args[1])
	if args[1] == "-" {
		if body, err = io.ReadAll(io.LimitReader(c.io.in, maxText)); err != nil {
			return usageError{err: err}
		}
	}
	p, err := c.phone(cmd.Context(), cmd, "ua message", to, func(*phone, *ua.Config) {})
	if err != nil {
		return err
	}
	return p.play(cmd.Context(), func() error {
		_, err := p.agent.Send(ua.RequestOptions{
			Method: "MESSAGE", To: to, Type: c.kind, Body: body, Events: func(e ua.Event) { p.answer(e) },
		})
		return err
	})
}

// answer ends a phone with the answer to its request.
func (p *phone) answer(e ua.Event) {
	p.tell(e)
	if e.Kind != ua.EventResponse {
		return
	}
	say := answeredWith(&e, e.Request.Begun())
	if e.Status/100 == 2 {
		p.finish(say, nil)
	} else {
		p.finish("", errors.New(say))
	}
}

// optionsCommand is "sipscope ua options".
type optionsCommand struct {
	uaFlags

	count    int
	interval time.Duration
}

func newOptions(std stdio) *cobra.Command {
	c := &optionsCommand{uaFlags: uaFlags{elementFlags: elementFlags{input: input{io: std}}}}
	cmd := &cobra.Command{
		Use:   "options URI",
		Short: "Ping: is somebody there, and how quick?",
		Long: `Send OPTIONS and print what is answered, and after what time. Any final answer but 408 and 503 shows that somebody is there:
the exit code is 0 then, and 1 when one of the pings had none.`,
		Example: `  sipscope ua options sip:192.0.2.1
  sipscope ua options 'sip:b.com;transport=tls' --count 10 --interval 500ms --format none
  sipscope ua options sip:192.0.2.1 --count 5 --format json`,
		Args: cobra.ExactArgs(1),
		RunE: c.run,
	}
	f := cmd.Flags()
	f.IntVar(&c.count, "count", 1, "how many")
	f.DurationVar(&c.interval, "interval", time.Second, "from one to the next")
	c.flags(f)
	return cmd
}

func (c *optionsCommand) run(cmd *cobra.Command, args []string) error {
	to, err := target(args[0])
	if err != nil {
		return err
	}
	if c.count < 1 {
		return usagef("try: --count 5", "--count %d sends nothing", c.count)
	}
	p, err := c.phone(cmd.Context(), cmd, "ua options", to, func(*phone, *ua.Config) {})
	if err != nil {
		return err
	}
	g := &pinging{c: c, p: p, to: to}
	return p.play(cmd.Context(), g.send)
}

// pinging is a series of pings.
type pinging struct {
	c                   *optionsCommand
	p                   *phone
	to                  string
	sent, back, missed  int
	least, most, summed time.Duration
}

func (g *pinging) send() error {
	g.sent++
	if g.sent < g.c.count {
		g.p.agent.At(g.p.agent.Now()+int64(g.c.interval), func(int64) {
			if err := g.send(); err != nil {
				g.p.finish("", err)
			}
		})
	}
	_, err := g.p.agent.Send(ua.RequestOptions{Method: "OPTIONS", To: g.to, Contact: true, Events: g.event})
	return err
}

func (g *pinging) event(e ua.Event) {
	g.p.tell(e)
	if e.Kind != ua.EventResponse {
		return
	}
	g.back++
	took := time.Duration(e.At - e.Request.Begun())
	if e.Status == 0 || e.Status == 408 || e.Status == 503 {
		g.missed++
	} else {
		if g.least == 0 || took < g.least {
			g.least = took
		}
		g.most = max(g.most, took)
		g.summed += took
	}
	if g.c.format == "none" && !g.c.quiet {
		fmt.Fprintf(g.c.io.out, "%d: %s\n", g.back, oneLine(answeredWith(&e, e.Request.Begun())))
	}
	if g.back < g.c.count {
		return
	}
	say := answeredWith(&e, e.Request.Begun())
	if n := g.back - g.missed; g.c.count > 1 && n > 0 {
		say = fmt.Sprintf("%d sent, %d answered, min/avg/max %s/%s/%s", g.sent, n, brief(g.least), brief(g.summed/time.Duration(n)), brief(g.most))
	}
	if g.missed > 0 {
		g.p.finish("", fmt.Errorf("%d of %d had no answer: %s", g.missed, g.c.count, say))
		return
	}
	g.p.finish(say, nil)
}

// subscribeCommand is "sipscope ua subscribe".
type subscribeCommand struct {
	uaFlags

	event   string
	accept  string
	expires int
	fetch   bool
}

func newSubscribe(std stdio) *cobra.Command {
	c := &subscribeCommand{uaFlags: uaFlags{elementFlags: elementFlags{input: input{io: std}}}}
	cmd := &cobra.Command{
		Use:   "subscribe URI",
		Short: "Subscribe to an event, and print what is notified",
		Long:  `Subscribe (RFC 6665) and print each notification. Ctrl-C ends the subscription; --fetch asks for the state once.`,
		Example: `  sipscope ua subscribe sip:bob@b.com --event presence
  sipscope ua subscribe sip:100@192.0.2.1 --event message-summary --fetch --format none`,
		Args: cobra.ExactArgs(1),
		RunE: c.run,
	}
	f := cmd.Flags()
	f.StringVar(&c.event, "event", "presence", "event package")
	f.StringVar(&c.accept, "accept", "", "media types that we read (default: those of the package)")
	f.IntVar(&c.expires, "expires", 3600, "seconds to ask for")
	f.BoolVar(&c.fetch, "fetch", false, "ask for the state once")
	c.flags(f)
	return cmd
}

func (c *subscribeCommand) run(cmd *cobra.Command, args []string) error {
	to, err := target(args[0])
	if err != nil {
		return err
	}
	if c.expires < 1 {
		return usagef("to ask for the state once: --fetch", "--expires %d is no time", c.expires)
	}
	var p *phone
	var begun int64
	opt := ua.SubscribeOptions{To: to, Event: c.event, Accept: c.accept, Expires: c.expires}
	if c.fetch {
		opt.Expires = -1
	}
	ok := false
	opt.Events = func(e ua.Event) {
		p.tell(e)
		switch e.Kind {
		case ua.EventSubscribed:
			ok, p.waits = true, true // Ctrl-C ends it well
		case ua.EventNotify:
			ok = true // a fetch is told of nothing else
			if c.format == "none" {
				fmt.Fprintf(c.io.out, "%s\n%s\n", oneLine(e.State), indented(string(e.Body)))
			}
		case ua.EventUnsubscribed:
			if ok && e.Status < 300 && e.Err == nil {
				p.finish("subscription over: "+e.Text, nil)
			} else {
				p.finish("", errors.New("not subscribed: "+answeredWith(&e, begun)))
			}
		default:
		}
	}
	if p, err = c.phone(cmd.Context(), cmd, "ua subscribe", to, func(*phone, *ua.Config) {}); err != nil {
		return err
	}
	return p.play(cmd.Context(), func() error {
		begun = p.agent.Now()
		_, err := p.agent.Subscribe(opt)
		return err
	})
}

// indented makes a text of the wire safe, line by line.
func indented(body string) string {
	var b strings.Builder
	for line := range strings.Lines(body) {
		b.WriteString("  " + oneLine(strings.TrimRight(line, "\r\n")) + "\n")
	}
	return b.String()
}
