package main

import (
	"context"
	"fmt"
	"io"
	"net/netip"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"sipscope/correlate"
	"sipscope/correlate/diff"
	"sipscope/decode/frame"
	"sipscope/element/replay/plan"
	"sipscope/element/tap"
	"sipscope/element/transport"
	"sipscope/render/save"
)

// makePlan makes the plan of a capture's calls, or reads one.
func (c *replayCommand) makePlan(cmd *cobra.Command, args []string) (*plan.Plan, error) {
	paths := append(append([]string(nil), c.from.files...), args...)
	if slices.ContainsFunc(paths, isPlan) {
		return c.readPlan(cmd, paths)
	}
	c.from.quiet = c.quiet
	a, err := c.from.read(cmd.Context(), cmd, args, wants{again: true})
	if err != nil {
		return nil, err
	}
	defer a.close()
	if len(a.board.Numbers()) == 0 && a.err == nil {
		return nil, nothingError{"there is no SIP call in " + a.source() + ": " + a.accountingLine()}
	}
	calls, err := c.chosen(a)
	if a.err != nil && err != nil {
		return nil, a.err // the damage is why
	}
	if err != nil {
		return nil, err
	}
	texts, failed := a.texts(calls)
	o := plan.Options{Source: a.source(), SUT: c.sutIs, As: c.as, Self: c.self, Cut: c.cut}
	if o.Aliases, err = aliasesOf(c.aliases); err != nil {
		return nil, err
	}
	if c.play != "off" {
		if o.Media, err = c.recordedMedia(cmd.Context(), a, calls, texts); err != nil {
			return nil, err
		}
	}
	p, err := plan.New(calls, texts, o)
	if err != nil {
		return nil, err
	}
	if a.err != nil {
		c.say("%v", a.err) // what was read is played
	}
	return p, failed()
}

// chosen are the calls that are played, together.
func (c *replayCommand) chosen(a *archive) ([]correlate.Call, error) {
	if !c.all {
		return a.pick(c.calls)
	}
	var calls []correlate.Call
	for _, num := range a.board.Numbers() {
		if call, ok := a.board.Call(num); ok && a.match(&call.Summary) {
			calls = append(calls, call)
		}
	}
	if len(calls) == 0 {
		return nil, nothingError{"no call matches"}
	}
	return calls, nil
}

// aliasesOf reads --alias for a plan.
func aliasesOf(list []string) (map[string]string, error) {
	draw := drawFlags{aliases: list}
	opts, err := draw.options()
	return opts.Aliases, err
}

// readPlan reads a plan that was saved.
func (c *replayCommand) readPlan(cmd *cobra.Command, paths []string) (*plan.Plan, error) {
	if len(paths) > 1 {
		return nil, usagef("a plan holds all that is played", "a plan and other files cannot be played together")
	}
	for _, name := range []string{"call", "all", "filter", "calls", "invert", "sut-is", "as", "cut-proxies"} {
		if cmd.Flags().Changed(name) {
			return nil, usagef("edit the plan instead", "--%s chooses from captures, and %s is a plan", name, paths[0])
		}
	}
	f, err := os.Open(paths[0])
	if err != nil {
		return nil, usageError{err: err}
	}
	defer f.Close()
	p, err := plan.Read(f, paths[0])
	if err != nil {
		return nil, cannotRunError{err: err, hint: "see: docs/replay-plan.md"}
	}
	if p.MediaFile != "" && c.play != "off" {
		if err := loadMedia(p, paths[0]); err != nil {
			return nil, cannotRunError{err: err, hint: "--media off plays without it"}
		}
	}
	if _, live := p.LiveHost(); live && c.self {
		for i := range p.Hosts {
			if p.Hosts[i].Part == plan.Live {
				return nil, usagef("make the plan again with --self --save-plan", "%s has a live participant, %s; --self needs a plan without", paths[0], p.Hosts[i].Name)
			}
		}
	}
	return p, nil
}

// save writes the plan where --save-plan says.
func (c *replayCommand) save(ctx context.Context, p *plan.Plan) error {
	if c.savePlan == "" {
		return nil
	}
	if _, err := os.Lstat(c.savePlan); err == nil && !c.force { // somebody may have edited it
		return usagef("--force overwrites it", "--save-plan: %s exists", c.savePlan)
	}
	if err := saveMedia(ctx, p, c.savePlan); err != nil {
		return err
	}
	err := save.File(ctx, c.savePlan, c.force, nil, func(w io.Writer) error { return p.WriteYAML(w) })
	if err != nil {
		return usageError{err: fmt.Errorf("--save-plan: %w", err)}
	}
	c.say("plan written to %s", c.savePlan)
	return nil
}

// side is one side of the comparison, kept in memory: its pipeline and its spool have ended.
type side struct {
	calls []correlate.Call
	texts [][][]byte
	who   map[netip.AddrPort]string
	hosts map[netip.Addr]string // those that one participant alone has
	named map[string]string     // who calls itself by a host name, in lower case
	loop  string                // who is at loopback addresses that nobody is known to have; "" for nobody
	live  string                // who is not played; "" for nobody
}

// maxSide bounds the texts that are kept of a side, in bytes. A plan's are fewer; a peer can send any number.
const maxSide = 64 << 20

// newSide keeps calls and their texts.
func newSide(calls []correlate.Call, text func(call *correlate.Call, message int) []byte) *side {
	s := &side{calls: calls, texts: make([][][]byte, len(calls))}
	left := maxSide
	for i := range calls {
		s.texts[i] = make([][]byte, len(calls[i].Messages))
		for k := range calls[i].Messages {
			if left <= 0 {
				break
			}
			s.texts[i][k] = text(&calls[i], k)
			left -= len(s.texts[i][k])
		}
	}
	return s
}

// name says who stands behind places.
func (s *side) name(at map[netip.AddrPort]string) {
	s.who, s.hosts = at, map[netip.Addr]string{}
	for place, name := range at {
		a := place.Addr().Unmap()
		if other, there := s.hosts[a]; there && other != name {
			name = ""
		}
		s.hosts[a] = name
	}
}

// flow is the side as the differ takes it.
func (s *side) flow(name string) diff.Flow {
	who := func(e frame.Endpoint) string {
		at := netip.AddrPortFrom(e.Addr().Unmap(), e.Port)
		if known, there := s.who[at]; there {
			return known
		}
		host, there := s.hosts[at.Addr()] // a connection's port is its maker's choice
		if !there && at.Addr().IsLoopback() {
			return s.loop
		}
		return host
	}
	f := diff.Flow{
		Name: name, Calls: s.calls, Who: who,
		Text:  func(call, message int) []byte { return s.texts[call][message] },
		Named: func(host string) string { return s.named[host] },
	}
	if s.live != "" {
		f.Ours = func(e frame.Endpoint) bool { host := who(e); return host != "" && host != s.live }
	}
	return f
}

// recorded makes a side of what a plan plays: its messages take the way of all packets.
func (r *replaying) recorded(ctx context.Context) (*side, error) {
	return r.sideOf(ctx, "recorded", r.tapPlan)
}

// sideOf makes a side of the messages that a tap is told of. tell says who is where.
func (r *replaying) sideOf(ctx context.Context, name string, tell func(*tap.Source) map[netip.AddrPort]string) (*side, error) {
	in := &input{io: r.c.io, quiet: true}
	in.live.spoolSize = r.c.live.spoolSize
	source := tap.New(0)
	d, err := in.openOwn(ctx, name, source)
	if err != nil {
		return nil, err
	}
	defer d.close()
	who := tell(source)
	_ = source.Close() // it has nothing to lose
	run, err := in.begin(ctx, d, correlate.Config{})
	if err != nil {
		return nil, err
	}
	if err = run.wait(); err != nil {
		return nil, err
	}
	var calls []correlate.Call
	for _, num := range run.board.Numbers() {
		if call, ok := run.board.Call(num); ok {
			calls = append(calls, call)
		}
	}
	s := newSide(calls, run.text)
	s.name(who)
	s.named, s.live = namesOf(r.plan), r.live
	return s, nil
}

// someTime stands for the beginning of a plan that knows none, ns since 1970-01-01 UTC.
const someTime = 1e18

// tapPlan gives the plan's messages to a pipeline, and says who is where.
func (r *replaying) tapPlan(source *tap.Source) map[netip.AddrPort]string {
	p := r.plan
	began := p.Began
	if began <= 0 {
		began = someTime
	}
	at, who := planPlaces(p)
	conns := map[[2]string]uint64{}
	for i := range p.Steps {
		s := &p.Steps[i]
		if s.Message == nil || s.Made || s.Kind != plan.Send && s.Kind != plan.Expect {
			continue
		}
		proto := max(s.Proto, transport.UDP)
		hop := [2]string{min(s.From, s.To), max(s.From, s.To)}
		if conns[hop] == 0 {
			conns[hop] = uint64(len(conns) + 1)
		}
		source.Message(began+s.At, proto, conns[hop], at[s.From], at[s.To], s.Message)
	}
	return who
}

// planPlaces says where each participant of a plan was, and who was at each place.
func planPlaces(p *plan.Plan) (at map[string]netip.AddrPort, who map[netip.AddrPort]string) {
	at, who = map[string]netip.AddrPort{}, map[netip.AddrPort]string{}
	for i := range p.Hosts {
		h := &p.Hosts[i]
		if len(h.At) == 0 { // added by hand
			at[h.Name] = netip.AddrPortFrom(netip.AddrFrom4([4]byte{240, 0, byte(i >> 8), byte(i)}), 5060)
		} else {
			at[h.Name] = h.At[0]
		}
		for _, place := range append([]netip.AddrPort{at[h.Name]}, h.At...) {
			who[netip.AddrPortFrom(place.Addr().Unmap(), place.Port())] = h.Name
		}
	}
	for i := range p.Hosts {
		for _, name := range p.Hosts[i].Names { // where it said it was, as its Contact has it
			if place, ok := placeOf(name); ok {
				place = normalPlace(place)
				if _, taken := who[place]; !taken {
					who[place] = p.Hosts[i].Name
				}
			}
		}
	}
	return at, who
}

// placeOf reads an address with or without a port.
func placeOf(name string) (netip.AddrPort, bool) {
	if place, err := netip.ParseAddrPort(name); err == nil {
		return place, true
	}
	a, err := netip.ParseAddr(strings.Trim(name, "[]"))
	return netip.AddrPortFrom(a, transport.UDP.DefaultPort()), err == nil
}

// namesOf says who of a plan calls itself by a host name, as far as one alone does.
func namesOf(p *plan.Plan) map[string]string {
	named := map[string]string{}
	for i := range p.Hosts {
		h := &p.Hosts[i]
		for _, name := range h.Names {
			host := strings.ToLower(name)
			if at := strings.LastIndexByte(host, ':'); at > 0 {
				host = host[:at]
			}
			if other, taken := named[host]; taken && other != h.Name {
				named[host] = ""
			} else {
				named[host] = h.Name
			}
		}
	}
	return named
}

// dryRun prints the plan, where everybody would be, and what would be sent.
func (r *replaying) dryRun() error {
	out := r.c.out()
	if err := r.plan.WriteText(out); err != nil {
		return err
	}
	_, err := fmt.Fprintf(out, "\nWould be sent: %s", r.summary())
	return err
}
