package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"os"
	"runtime"
	"strings"

	"sipscope/correlate"
	"sipscope/correlate/diff"
	"sipscope/decode/frame"
	"sipscope/element/auth"
	"sipscope/element/media"
	"sipscope/element/replay"
	"sipscope/element/replay/guard"
	"sipscope/element/replay/many"
	"sipscope/element/replay/plan"
	"sipscope/element/replay/stream"
	"sipscope/element/tap"
	"sipscope/element/transport"
	"sipscope/element/txn"
	"sipscope/render/pair"
)

// replaying is a replay on its way: what the flags say, then what was found out, then what happens.
type replaying struct {
	c     *replayCommand
	rules diff.Rules
	plan  *plan.Plan

	credentials []auth.Credentials
	rewrite     replay.Rewrite
	onDiverge   replay.OnDiverge
	values      *many.Values
	many        many.Options // of many plays

	target transport.Hop
	live   string // the participant that the target stands for; "" for none
	guard  *guard.Guard
	places []place

	site   *site
	tap    *onceTap       // nil when nobody looks
	sound  *media.Sockets // nil without media
	local  map[string]transport.Listen
	also   map[string][]transport.Listen // further places
	player *replay.Player

	id      uint64          // of one play
	outcome *replay.Outcome // of it
	ended   chan struct{}   // closed when all is over
	idle    func()          // told when nothing is left after a stop; of the loop
	over    bool            // all is over; of the loop
	got     *side           // live
	notes   []string        // of the report
	broken  []diff.Note     // connections that the live side ended; of the loop

	runner many.Runner // of many plays
	load   *many.Load
	finder *many.Finder
	keeper *keeper
}

// flagsToOptions reads the flags that say what is sent.
func (r *replaying) flagsToOptions() (err error) {
	c := r.c
	if r.credentials, err = c.credentials(); err != nil {
		return err
	}
	r.onDiverge = map[string]replay.OnDiverge{"continue": replay.Continue, "abort": replay.Abort}[c.onDiverge]
	if err = r.rewriting(); err != nil {
		return err
	}
	if c.load.csv != "" {
		if err = r.readValues(); err != nil {
			return err
		}
	}
	for name := range r.rewrite.Fields() {
		if _, ok := r.values.Row(0)[name]; !ok {
			return usagef("a file named with --csv has the names in its first line", "{%s} is no column of a table", name)
		}
	}
	return nil
}

// rewriting reads what is to be otherwise than recorded. The comparison knows what is called otherwise by that.
func (r *replaying) rewriting() error {
	c := r.c
	for _, list := range [...]struct {
		values []string
		add    func(string) error
	}{{c.sets, r.rewrite.Set}, {c.users, r.rewrite.User}, {c.domains, r.rewrite.Domain}, {c.maps, r.rewrite.Map}} {
		for _, v := range list.values {
			if err := list.add(v); err != nil {
				return usageError{err: err, hint: "see: docs/replay.md"}
			}
		}
	}
	r.rules.Alias = map[string]string{}
	for _, v := range append(append([]string(nil), c.users...), c.domains...) {
		if old, to, _ := strings.Cut(v, "="); !strings.ContainsAny(to, "{}") {
			r.rules.Alias[old] = to
		}
	}
	return nil
}

// readValues reads --csv.
func (r *replaying) readValues() error {
	f, err := os.Open(r.c.load.csv)
	if err != nil {
		return usageError{err: err}
	}
	defer f.Close()
	if r.values, err = many.ReadValues(f, r.c.load.csv); err != nil {
		return usageError{err: err, hint: "the first line names the columns, each further line is for one play"}
	}
	return nil
}

// play opens the sockets, plays, and tells what came of it.
func (r *replaying) play(ctx context.Context) error {
	c := r.c
	recorded, err := r.recorded(ctx)
	if err != nil {
		return cannotRunError{err: fmt.Errorf("the plan's messages: %w", err)}
	}
	c.watched = !c.load.many() // of many, a keeper watches
	if c.load.many() {
		c.maxCalls = min(c.maxCalls, manyCalls)
	}
	if c.mtu == 0 {
		c.mtu = -1 // as recorded: a large request over UDP was one
	}
	c.accept, c.behind = r.guard.Accept, r.guard.Link // faults answer, too
	c.through = func(source *tap.Source) transport.Tap {
		to := r.sees(source)
		if to == nil {
			return nil
		}
		r.tap = newOnceTap(to)
		return r.tap
	}
	c.broken, c.ownOnly = r.connection, c.self
	lasts := c.live.duration
	c.live.duration = 0 // of the play alone: how it is ended is recorded, too
	if err = r.open(ctx); err != nil {
		return err
	}
	c.live.duration = lasts
	if err = r.prepare(); err != nil {
		_ = r.site.end.Close() // it never ran
		_ = r.site.close()
		return err
	}
	r.site.ended = r.look
	r.site.end.Post(r.begin)
	handler := transport.Handler(r.player)
	if r.runner != nil {
		handler = many.Handler(r.runner, handler)
		defer r.progress(ctx)()
	}
	err = r.site.play(ctx, handler, r.ended, r.stop)
	if r.sound != nil {
		_ = r.sound.Close() // its streams are over
	}
	if err != nil {
		return cannotRunError{err: err}
	}
	if r.runner != nil {
		return r.tellMany(ctx, recorded)
	}
	return r.tell(ctx, recorded)
}

// manyCalls is how many calls the pipeline of a file keeps of many plays, of which nobody asks: so memory stays flat.
const manyCalls = 2000

// prepare makes the player, and what plays it many times.
func (r *replaying) prepare() error {
	c := r.c
	r.ended = make(chan struct{})
	o := replay.Options{
		Target: r.target, Local: r.local, Also: r.also, Guard: r.guard, Credentials: r.credentials, Rewrite: r.rewrite,
		Speed: c.speed, Fast: c.fast, Keep1xx: c.keepRing, Verbatim: c.verbatim, Rules: r.rules, OnDiverge: r.onDiverge,
		Patience: c.patience, Txn: txn.Config{T1: int64(c.t1)}, Rand: r.site.rng, Done: r.done,
	}
	if err := r.speak(&o); err != nil {
		return err
	}
	var err error
	if r.player, err = replay.NewPlayer(r.site.link, r.plan, o); err != nil {
		return cannotRunError{err: err, hint: "the dry run shows the plan"}
	}
	if !c.load.many() {
		return nil
	}
	return r.prepareMany()
}

// speak gives the player its media.
func (r *replaying) speak(o *replay.Options) error {
	if r.c.play == "off" || r.c.load.many() && len(r.plan.Media) == 0 { // sockets for silence cost more than the plays
		return nil
	}
	cfg := media.SocketsConfig{Min: firstRTP, Max: lastRTP, Post: r.site.end.Post, Now: r.site.end.Now, Rand: r.site.rng}
	if r.tap != nil {
		cfg.Tap = r.tap
	}
	var err error
	switch r.c.play {
	case "auto":
	case "tone":
		o.Mode = stream.Tone
	default:
		o.Mode = stream.File
		if o.Sound, err = readSound(r.c.play); err != nil {
			return err
		}
	}
	if r.sound, err = media.NewSockets(cfg); err != nil {
		return cannotRunError{err: err, hint: "--media off plays without"}
	}
	o.Media = r.sound
	return nil
}

// Ports for RTP, as those of the user agent.
const (
	firstRTP = 16384
	lastRTP  = 32767
)

// begin is called in the loop, once.
func (r *replaying) begin() {
	if r.runner != nil {
		r.runner.Start(r.site.end.Now())
		return
	}
	var err error
	if r.id, err = r.player.Play(replay.Input{}); err != nil {
		r.done(&replay.Outcome{Verdict: replay.Refused, Reason: err.Error(), First: -1, Ring: -1, Answer: -1})
	}
}

// done takes the end of a play, in the loop.
func (r *replaying) done(o *replay.Outcome) {
	if r.runner != nil {
		r.runner.Ended(endedOf(o))
		r.keeper.offer(o)
		return
	}
	r.outcome = o
	r.finish()
}

// finish ends the waiting, in the loop.
func (r *replaying) finish() {
	if r.over {
		return
	}
	r.over = true
	close(r.ended)
	if r.idle != nil {
		r.idle()
		r.idle = nil
	}
}

// stop ends what is played, politely, in the loop.
func (r *replaying) stop(idle func()) {
	if r.over {
		idle()
		return
	}
	r.c.say("ending what is open; Ctrl-C again does not wait for the answers")
	r.idle = idle
	if r.runner != nil {
		r.runner.Stop()
		return
	}
	r.player.Stop(r.id)
}

// look takes what the pipeline saw, before it is gone.
func (r *replaying) look() {
	if r.site.run == nil {
		return
	}
	if r.runner == nil {
		var calls []correlate.Call
		for _, num := range r.site.run.board.Numbers() {
			if call, ok := r.site.run.board.Call(num); ok && r.concerns(&call) {
				calls = append(calls, call)
			}
		}
		r.got = newSide(calls, r.site.run.text)
		r.got.name(r.whoIsWhere())
		r.got.loop = r.loop()
		r.got.live = r.live
	}
	if st := r.site.source.Status(); st.Queue > 0 {
		r.notes = append(r.notes, fmt.Sprintf("%d packets were not recorded: the disk was too slow", st.Queue))
	}
}

// concerns reports whether a call is one with those who are played with: others may send to our ports what they like.
func (r *replaying) concerns(call *correlate.Call) bool {
	known := func(e frame.Endpoint) bool { return r.guard.Check(e.AddrPort(), guard.Connection) == nil }
	for i := range call.Messages {
		if m := &call.Messages[i]; known(m.Src) && known(m.Dst) {
			return true
		}
	}
	return false
}

// whoIsWhere names all places of the live side as the plan does.
func (r *replaying) whoIsWhere() map[netip.AddrPort]string {
	who := map[netip.AddrPort]string{}
	for _, p := range r.places {
		for _, l := range p.listen {
			who[netip.AddrPortFrom(l.Addr().Unmap(), l.Port())] = p.host
		}
	}
	if r.live != "" {
		at := r.target.Remote
		who[netip.AddrPortFrom(at.Addr().Unmap(), at.Port())] = r.live
	}
	return who
}

// loop says who connects to us from a loopback address that nobody has told of: the kernel chooses 127.0.0.1 for a live server
// on this machine that does not choose itself.
func (r *replaying) loop() string {
	if r.live != "" && r.target.Remote.Addr().IsLoopback() {
		return r.live
	}
	return ""
}

// tell compares and draws one play.
func (r *replaying) tell(ctx context.Context, recorded *side) error {
	o := r.outcome
	if o == nil {
		o = &replay.Outcome{Verdict: replay.Aborted, Reason: "interrupted"}
	}
	result := r.compare(recorded, r.got, o)
	r.notes = append(append(r.outcomeNotes(o), o.Notes...), r.notes...)
	report := &pair.Report{Title: r.plan.Title, A: "recorded", B: "live", Replay: true, Notes: r.notes, Version: version, Pairs: []pair.Pair{pair.New(result)}}
	if err := r.write(ctx, report, o); err != nil {
		return err
	}
	return r.verdict(o, result)
}

// outcomeNotes say what the player has to say.
func (r *replaying) outcomeNotes(o *replay.Outcome) []string {
	var notes []string
	if o.Verdict != replay.Completed {
		notes = append(notes, fmt.Sprintf("the replay %s: %s", ending1(o.Verdict), o.Reason))
	}
	notes = append(notes, r.refusals()...)
	notes = append(notes, r.noSIP()...)
	if n := r.player.Stats().Extra; n > 0 {
		notes = append(notes, plural(int(n), "request")+" that came belonged to no play") //nolint:gosec // G115: a count
	}
	for _, m := range o.Media {
		notes = append(notes, fmt.Sprintf("RTP of step %d: %d packets sent, %d received, %d lost", m.Step, m.Sent, m.Received, m.Lost))
	}
	return notes
}

// refusals say whom packets were kept from. Our own places are no news: RTCP that says goodbye to a port of ours which is
// closed already.
func (r *replaying) refusals() []string {
	own := map[netip.Addr]bool{}
	for _, l := range r.local {
		own[l.Addr().Unmap()] = true
	}
	var notes []string
	for _, ref := range r.guard.Refused() {
		if ref.Use == guard.Media && own[ref.At.Addr()] {
			continue
		}
		notes = append(notes, fmt.Sprintf("%v, %s", ref.Err(), plural(int(min(ref.Count, math.MaxInt32)), "time")))
	}
	return notes
}

// ending1 is how a play ended, in a sentence.
func ending1(v replay.Verdict) string {
	return map[replay.Verdict]string{
		replay.Diverged: "diverged", replay.Aborted: "was stopped", replay.Refused: "could not go on",
	}[v]
}

// verdict is the exit code of one play.
func (r *replaying) verdict(o *replay.Outcome, result *diff.Result) error {
	switch {
	case o.Verdict == replay.Refused:
		return cannotRunError{err: errors.New(o.Reason)}
	case o.Verdict == replay.Aborted:
		return nothingError{"interrupted before the flow was over"}
	case o.Verdict != replay.Completed, result.Verdict == diff.Differs, result.Verdict == diff.Tolerated && r.rules.Strict:
		return nothingError{}
	}
	return nil
}

// health gives the figures of this process and its sockets. It is for the loop.
func (r *replaying) health() many.Health {
	st := r.site.end.Stats()
	h := many.Health{Unreached: st.ICMP, CPU: cpuTime(), Cores: runtime.GOMAXPROCS(0)}
	for i := range st.Listeners {
		h.KernelDrops += st.Listeners[i].KernelDrops
		h.SendErrors += st.Listeners[i].SendErrors
	}
	for i := range st.Dialled {
		h.SendErrors += st.Dialled[i].SendErrors
	}
	if r.site.source != nil {
		h.Lost = r.site.source.Status().Queue
	}
	return h
}
