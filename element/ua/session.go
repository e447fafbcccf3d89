package ua

import (
	"strconv"
	"time"

	"sipscope/decode/sip"
	"sipscope/element/compose"
)

// refresh is the session timer of a dialog (RFC 4028).
type refresh struct {
	every  int64 // seconds; 0: none is agreed
	min    int64 // the largest Min-SE that a 422 named, seconds
	until  int64 // ns, when the session is over without a refresh, less the smaller of 32 s and a third (RFC 4028 10)
	own    bool  // this side refreshes
	timer  bool  // the other side's Supported has timer
	update bool  // the other side's Allow has UPDATE
}

// learn notes what a message tells about the other side.
func (l *leg) learn(m *sip.Message) {
	if _, ok := m.Value(sip.HeaderAllow); ok {
		l.timer.update = m.HasOption(sip.HeaderAllow, "UPDATE")
	}
	if _, ok := m.Value(sip.HeaderSupported); ok {
		l.timer.timer = m.HasOption(sip.HeaderSupported, "timer")
	}
}

// maxInterval bounds what the wire may ask for, seconds: ten years.
const maxInterval = 315_360_000

func interval(m *sip.Message) (e sip.SessionExpires, ok bool) {
	v, ok := m.Value(sip.HeaderSessionExpires)
	if !ok {
		return e, false
	}
	e = sip.ParseSessionExpires(v)
	return e, e.Seconds > 0 && e.Seconds <= maxInterval
}

// tooShort reports whether a request asks for a session interval that gets 422 (RFC 4028 9). A side that does not support
// session timers is never asked for a longer one.
func (a *Agent) tooShort(m *sip.Message) bool {
	e, ok := interval(m)
	return ok && e.Seconds < int64(a.cfg.MinSE) && m.HasOption(sip.HeaderSupported, "timer")
}

// ask adds the headers of a request that refreshes.
func (t *refresh) ask(h []compose.Header, minSE int) []compose.Header {
	if t.every == 0 {
		return h
	}
	refresher := "uas"
	if t.own {
		refresher = "uac"
	}
	return append(h,
		compose.Header{ID: sip.HeaderSessionExpires, Value: strconv.FormatInt(t.every, 10) + ";refresher=" + refresher},
		compose.Header{ID: sip.HeaderMinSE, Value: strconv.FormatInt(max(int64(minSE), t.min), 10)})
}

// longer takes in a 422.
func (t *refresh) longer(m *sip.Message) bool {
	v, ok := m.Value(sip.HeaderMinSE)
	if !ok {
		return false
	}
	least := sip.ParseSessionExpires(v).Seconds
	if least <= t.every || least > maxInterval {
		return false
	}
	t.every, t.min = least, least
	return true
}

// sessionReply decides the session timer of a request that is answered with 2xx, and adds its headers (RFC 4028 9).
func (l *leg) sessionReply(h []compose.Header, m *sip.Message) []compose.Header {
	t := &l.timer
	e, ok := interval(m)
	theirs := m.HasOption(sip.HeaderSupported, "timer") || m.HasOption(sip.HeaderRequire, "timer")
	switch {
	case ok:
		t.every = max(e.Seconds, int64(l.a.cfg.MinSE))
		if !theirs {
			t.every = max(e.Seconds, 90) // RFC 4028 9: a proxy asked; it stays as it is, within the least of section 5
		}
	case l.a.cfg.SessionSec > 0 && theirs:
		t.every = int64(max(l.a.cfg.SessionSec, l.a.cfg.MinSE))
	default:
		t.every = 0
		l.sessionStart()
		return h
	}
	t.own = !theirs || asciiFold(e.Refresher, "uas")
	refresher := "uac"
	if t.own {
		refresher = "uas"
	} else {
		h = append(h, compose.Header{ID: sip.HeaderRequire, Value: "timer"})
	}
	l.sessionStart()
	return append(h, compose.Header{
		ID: sip.HeaderSessionExpires, Value: strconv.FormatInt(t.every, 10) + ";refresher=" + refresher,
	})
}

// sessionAnswer takes the session timer from a 2xx to an own request (RFC 4028 7.2). Without Session-Expires in it there
// is none any more.
func (l *leg) sessionAnswer(m *sip.Message) {
	t := &l.timer
	e, ok := interval(m)
	if !ok {
		t.every = 0
	} else {
		// RFC 4028 5: less than 90 s is not allowed, and would have this side send refreshes without end.
		t.every, t.own = max(e.Seconds, 90), !asciiFold(e.Refresher, "uas")
	}
	l.sessionStart()
}

// sessionStart sets the timer: half of the interval for the side that refreshes, its end for the other (RFC 4028 10).
func (l *leg) sessionStart() {
	c, t, now := l.call, &l.timer, l.a.now
	t.until = now + (t.every-min(32, t.every/3))*int64(time.Second)
	switch {
	case c == nil || c.leg != l: // an early dialog that does not count, or no longer
	case t.every == 0:
		l.a.alarms.set(&c.alarm, timerSession, 0)
	case t.own:
		l.a.alarms.set(&c.alarm, timerSession, now+t.every*int64(time.Second)/2)
	default:
		l.a.alarms.set(&c.alarm, timerSession, t.until)
	}
}

// sessionDue refreshes the session, by UPDATE where the other side allows it, or ends it with BYE.
func (l *leg) sessionDue() {
	c, t, now := l.call, &l.timer, l.a.now
	if c == nil || c.state != StateConfirmed || t.every == 0 {
		return
	}
	if now >= t.until {
		c.bye(l, CauseSession, `SIP;cause=408;text="Session timer expired"`)
		return
	}
	// Again, should this one not be answered.
	l.a.alarms.set(&c.alarm, timerSession, min(now+t.every*int64(time.Second)/8, t.until))
	if l.change != nil || l.session.offered || l.ok.waits {
		return
	}
	method := "INVITE"
	if t.update {
		method = "UPDATE"
	}
	if method == "INVITE" && c.openSession(l, l.hop) != nil {
		return
	}
	l.change = &change{l: l, method: method, refresh: true, before: l.session}
	l.change.start()
}
