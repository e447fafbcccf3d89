package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"sipscope/decode/sip"
	"sipscope/element/auth"
	"sipscope/element/compose"
	"sipscope/element/media"
	"sipscope/element/txn"
	"sipscope/element/ua"
)

// uaFlags are those of all user agents.
type uaFlags struct {
	elementFlags

	from     string
	authUser string
	password string
	route    []string
	headers  []string
	t1       time.Duration
	reliable string
	session  int
	media    string
	record   string
	ports    string
}

func (u *uaFlags) flags(f *pflag.FlagSet) {
	f.StringVar(&u.from, "from", "", `who we are: sip:alice@a.com, or "Alice" <sip:alice@a.com> (default: sipscope at our address)`)
	f.StringVar(&u.authUser, "auth-user", "", "name for challenges (default: the user of --from)")
	f.StringVar(&u.password, "password-file", "", "file with the password for challenges (default: $SIPSCOPE_PASSWORD)")
	f.StringArrayVar(&u.route, "route", nil, "send by this proxy first: sip:HOST:PORT;lr (repeatable, in order)")
	f.StringArrayVar(&u.headers, "header", nil, `add "Name: value" to our requests (repeatable)`)
	f.DurationVar(&u.t1, "t1", 500*time.Millisecond, "T1, the estimate of the round trip: timers A to M follow from it (RFC 3261 table 4)")
	u.elementFlags.flags(f, clientListen("")...)
}

// callFlags are those of agents that make and take calls.
func (u *uaFlags) callFlags(f *pflag.FlagSet) {
	f.StringVar(&u.media, "media", "tone", "what is said in G.711: tone, silence, echo, FILE.wav, or none")
	f.StringVar(&u.record, "record", "", "write what is heard to a WAV file (the first call, ten minutes at most)")
	f.StringVar(&u.ports, "rtp-ports", "16384-32767", "ports for RTP")
	f.StringVar(&u.reliable, "reliable", "supported", "reliable provisional responses (RFC 3262): supported, required or off")
	f.IntVar(&u.session, "session-expires", 0, "seconds of a session timer to ask for (RFC 4028); 0: none")
}

// clientListen is where a client listens when it is not told: at any port, of the family of whom it calls.
func clientListen(target string) []string {
	if strings.Contains(target, "[") {
		return []string{"udp:[::]:0", "tcp:[::]:0"}
	}
	return []string{"udp:0.0.0.0:0", "tcp:0.0.0.0:0"}
}

// phone is a user agent at work.
type phone struct {
	*site

	u     *uaFlags
	agent *ua.Agent
	sound *media.Sockets
	done  chan struct{}
	over  bool
	waits bool   // for others: no result is a good one
	leave bool   // what was made stays when the phone ends
	say   string // result, for a person
	bad   error  // the result is a failure
	idle  func()

	stopping func() // called before the agent closes; nil for nothing
}

// phone opens one. events is told what happens, in the loop; change finishes its configuration.
func (u *uaFlags) phone(ctx context.Context, cmd *cobra.Command, name, target string, change func(p *phone, cfg *ua.Config)) (*phone, error) {
	if !cmd.Flags().Changed("listen") {
		u.listen = clientListen(target)
	}
	if u.reliable != "" { // a command for calls
		if err := oneOf("--reliable", u.reliable, "supported", "required", "off"); err != nil {
			return nil, err
		}
	}
	if err := u.names(); err != nil {
		return nil, err
	}
	headers, err := u.extra()
	if err != nil {
		return nil, err
	}
	credentials, err := u.credentials()
	if err != nil {
		return nil, err
	}
	s, err := u.open(ctx, name)
	if err != nil {
		return nil, err
	}
	p := &phone{site: s, u: u, done: make(chan struct{})}
	cfg := ua.Config{
		Link: s.link, Txn: txn.Config{T1: int64(u.t1), Trying: true}, Rand: s.rng, Resolver: s.names, Identity: u.identity(s),
		Route: u.routes(), Credentials: credentials, Server: userAgent(), Headers: headers, SessionSec: u.session,
		Reliable: map[string]ua.Policy{"required": ua.Required, "off": ua.Off}[u.reliable],
	}
	if err = p.speak(&cfg); err != nil {
		_ = s.end.Close() // it never ran
		_ = s.close()
		return nil, err
	}
	cfg.Events = p.event
	change(p, &cfg)
	p.agent = ua.New(cfg)
	return p, nil
}

// names checks who we are, and by whom we go.
func (u *uaFlags) names() error {
	if u.session < 0 {
		return usagef("it is seconds, 0 for none", "--session-expires %d is no time", u.session)
	}
	if u.from != "" {
		a := sip.ParseAddress([]byte(u.from))
		if _, ok := sip.ParseURI(a.URI.Of([]byte(u.from))); !ok || strings.ContainsAny(u.from, "\r\n") {
			return usagef(`try: --from sip:alice@a.com, or --from '"Alice" <sip:alice@a.com>'`, "--from %q is no address", u.from)
		}
	}
	for i, r := range u.route {
		bare := strings.TrimSuffix(strings.TrimPrefix(r, "<"), ">")
		if err := checkURI("--route", bare); err != nil {
			return err
		}
		uri, _ := sip.ParseURI([]byte(bare))
		if _, lr := sip.Param(uri.Params, "lr"); !lr && i == 0 && !u.quiet {
			fmt.Fprintf(u.io.err, "sipscope: --route %s has no ;lr: the Request-URI goes last, as for a strict router (RFC 3261 12.2.1.1)\n", oneLine(r))
		}
	}
	return nil
}

// extra reads --header.
func (u *uaFlags) extra() ([]compose.Header, error) {
	var all []compose.Header
	for _, line := range u.headers {
		name, value, ok := strings.Cut(line, ":")
		if name = strings.TrimSpace(name); !ok || name == "" || strings.ContainsAny(line, "\r\n") {
			return nil, usagef(`try: --header "Subject: lunch"`, "--header %q is not NAME: VALUE", line)
		}
		all = append(all, compose.Header{ID: sip.LookupHeader([]byte(name)), Name: name, Value: strings.TrimSpace(value)})
	}
	return all, nil
}

// credentials are what challenges are answered with; none without a password.
func (u *uaFlags) credentials() ([]auth.Credentials, error) {
	password := os.Getenv("SIPSCOPE_PASSWORD")
	if u.password != "" {
		var err error
		if password, err = secret(u.password); err != nil {
			return nil, err
		}
	}
	user := u.authUser
	if user == "" {
		a := sip.ParseAddress([]byte(u.from))
		user = string(a.User.Of([]byte(u.from)))
	}
	if password == "" || user == "" {
		return nil, nil
	}
	return []auth.Credentials{{User: user, Password: password}}, nil
}

// identity is who we are: a From value.
func (u *uaFlags) identity(s *site) string {
	switch {
	case strings.Contains(u.from, "<"):
		return u.from
	case u.from != "":
		return "<" + u.from + ">"
	}
	host := "anonymous.invalid" // RFC 3261 8.1.1.3
	for _, hop := range s.end.Listeners() {
		if a := hop.Local.Addr(); !a.IsUnspecified() {
			host = string(compose.AppendHost(nil, a))
			break
		}
	}
	if host == "anonymous.invalid" {
		if a := ownAddress(); a != "" {
			host = a
		}
	}
	return "<sip:sipscope@" + host + ">"
}

// ownAddress is the first address of this machine that others may know it by.
func ownAddress() string {
	all, err := net.InterfaceAddrs()
	if err != nil {
		return ""
	}
	for _, a := range all {
		if n, ok := a.(*net.IPNet); ok && n.IP.To4() != nil && !n.IP.IsLoopback() {
			return n.IP.String()
		}
	}
	return ""
}

func (u *uaFlags) routes() []string {
	var all []string
	for _, r := range u.route {
		if !strings.Contains(r, "<") {
			r = "<" + r + ">"
		}
		all = append(all, r)
	}
	return all
}

// speak gives the agent its sound.
func (p *phone) speak(cfg *ua.Config) error {
	u := p.u
	if u.media == "" || u.media == "none" {
		return nil
	}
	v, err := u.sound(p)
	if err != nil {
		return err
	}
	var low, high uint16
	if n, scanErr := fmt.Sscanf(u.ports, "%d-%d", &low, &high); n != 2 || scanErr != nil || low >= high {
		return usagef("try: --rtp-ports 16384-32767", "--rtp-ports %q is no range", u.ports)
	}
	sockets := media.SocketsConfig{Min: low, Max: high, Post: p.end.Post, Now: p.end.Now, Rand: p.rng}
	if p.source != nil {
		sockets.Tap = p.source
	}
	if p.sound, err = media.NewSockets(sockets); err != nil {
		return usageError{err: err}
	}
	if v.Ports = p.sound; u.record != "" {
		const tenMinutes = 600 * media.Rate
		v.Record = tenMinutes
	}
	cfg.Media = ua.NewSound(v)
	return nil
}

// sound reads --media.
func (u *uaFlags) sound(p *phone) (ua.SoundConfig, error) {
	v := ua.SoundConfig{Rand: p.rng, Symmetric: true, Ended: p.heard}
	switch u.media {
	case "echo":
		v.Echo = true
	case "silence": // nothing is said
	case "tone":
		v.Source = func(*ua.Call) media.Source {
			tone, err := media.Tone(0, 440)
			if err != nil {
				return nil
			}
			return tone
		}
	default:
		sound, err := readSound(u.media)
		if err != nil {
			return v, err
		}
		v.Source = func(*ua.Call) media.Source { return sound.Play(true) }
	}
	return v, nil
}

func readSound(path string) (media.Sound, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, usageError{err: err, hint: "--media takes a word of its help, or a WAV file"}
	}
	defer f.Close()
	sound, err := media.ReadWAV(f)
	if err != nil {
		return nil, usagef("PCM of 8 or 16 bits, or G.711", "%s: %w", path, err)
	}
	return sound, nil
}

// heard takes what a call was.
func (p *phone) heard(_ int64, c *ua.Call, st media.Stats, sound media.Sound) {
	p.events.write(struct {
		Event    string  `json:"event"`
		CallID   string  `json:"call_id"`
		Sent     uint64  `json:"rtp_sent"`
		Received uint64  `json:"rtp_received"`
		Lost     uint64  `json:"rtp_lost"`
		Jitter   float64 `json:"jitter_ms"`
	}{"media", c.CallID(), uint64(st.Sent.Packets), st.Received.Packets, st.Received.Missing, float64(st.Received.Jitter) / 1e6})
	if p.u.record == "" {
		return
	}
	path := p.u.record
	p.u.record = "" // the first call
	f, err := os.Create(path)
	if err == nil {
		err = media.WriteWAV(f, sound)
		if closeErr := f.Close(); err == nil {
			err = closeErr
		}
	}
	if err != nil {
		p.remark(fmt.Sprintf("--record: %v", err))
	}
}

// remark says something on stderr.
func (p *phone) remark(text string) {
	if !p.e.quiet {
		fmt.Fprintf(p.e.io.err, "sipscope: %s\n", oneLine(text))
	}
}

// event is told what happens, unless a call or another thing tells it elsewhere.
func (p *phone) event(e ua.Event) {
	switch {
	case e.Kind == ua.EventIdle && p.idle != nil:
		p.idle()
		p.idle = nil
	case e.Kind == ua.EventDTMF:
		p.remark(fmt.Sprintf("digit %s", e.Body))
	default:
	}
	p.tell(e)
}

// tell writes an event.
func (p *phone) tell(e ua.Event) {
	if p.events.w == nil || e.Kind == ua.EventIdle {
		return
	}
	out := event{
		At: e.At, Event: e.Kind.String(), Method: e.Method, Status: e.Status, Reason: e.Text, Expires: e.Expires, State: e.State,
		Type: e.Type, Body: string(e.Body), Cause: e.Cause.String(),
	}
	if e.Call != nil {
		out.CallID = e.Call.CallID()
	}
	if e.Kind == ua.EventEnded {
		out.By = "us"
		if e.Remote {
			out.By = "them"
		}
	}
	if e.Err != nil {
		out.Error = e.Err.Error()
	}
	p.events.write(out)
}

// finish ends the phone with a result.
func (p *phone) finish(say string, bad error) {
	if p.over {
		return
	}
	p.over = true
	p.say, p.bad = say, bad
	close(p.done)
}

// play runs the phone; begin is called in its loop. The result is printed, a bad one is an error with exit code 1.
func (p *phone) play(ctx context.Context, begin func() error) error {
	p.end.Post(func() {
		if err := begin(); err != nil {
			p.finish("", err)
		}
	})
	err := p.site.play(ctx, p.agent.Handler(), p.done, func(idle func()) {
		if p.leave && p.over {
			idle()
			return
		}
		p.idle = idle
		if p.stopping != nil {
			p.stopping()
		}
		p.agent.Close()
		if !p.agent.Idle() {
			p.remark("ending what is open; Ctrl-C again does not wait for the answers")
		}
		if p.agent.Idle() && p.idle != nil {
			p.idle = nil
			idle()
		}
	})
	if p.sound != nil {
		_ = p.sound.Close() // its calls are over
	}
	if err != nil {
		return err
	}
	if p.say != "" && p.e.format != "json" {
		fmt.Fprintln(p.e.io.out, oneLine(p.say))
	}
	if !p.over && !p.waits {
		return nothingError{"interrupted before there was an answer"}
	}
	if p.bad != nil {
		return nothingError{p.bad.Error()}
	}
	return nil
}

// newUA is "sipscope ua".
func newUA(std stdio) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "ua",
		Short: "Be a user agent: call, answer, register, send messages, subscribe, ping",
		Long: `A user agent of ours, for tests and demonstrations. What it sends and receives is drawn as a ladder while it happens.

It sends only to whom the command line names, and to where these answers lead it within their dialogs.`,
	}
	cmd.AddCommand(newCall(std), newAnswer(std), newRegister(std), newMessage(std), newSubscribe(std), newOptions(std))
	return cmd
}

// target checks the URI of the command line.
func target(text string) (string, error) {
	if !strings.HasPrefix(text, "sip:") && !strings.HasPrefix(text, "sips:") {
		text = "sip:" + text
	}
	if _, ok := sip.ParseURI([]byte(text)); !ok {
		return "", usagef("try: sip:bob@192.0.2.1:5060, or sip:bob@b.com;transport=tcp", "%q is no SIP URI", text)
	}
	return text, nil
}

// answeredWith says how a request was answered.
func answeredWith(e *ua.Event, since int64) string {
	after := time.Duration(e.At - since).Round(10 * time.Microsecond)
	if e.Status == 0 {
		return fmt.Sprintf("no answer after %s: %v", after, e.Err)
	}
	return fmt.Sprintf("%d %s after %s", e.Status, e.Text, after)
}
