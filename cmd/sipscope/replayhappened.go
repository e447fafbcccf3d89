package main

import (
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"strings"
	"syscall"

	"sipscope/correlate/diff"
	"sipscope/element/replay"
	"sipscope/element/transport"
)

// maxBroken bounds the connections whose end is told.
const maxBroken = 20

// connection is told of a connection that has ended, in the loop.
func (r *replaying) connection(proto transport.Proto, remote netip.AddrPort, err error) {
	if r.over || r.runner != nil || len(r.broken) >= maxBroken || r.live == "" || remote.Addr() != r.target.Remote.Addr() {
		return
	}
	r.broken = append(r.broken, diff.Note{Time: r.site.end.Now(), Text: endOf(r.live, proto.String(), err)})
}

// endOf says in words how a connection with somebody ended.
func endOf(who, proto string, err error) string {
	var timeout interface{ Timeout() bool }
	switch {
	case errors.Is(err, io.EOF):
		return who + " closed the " + proto + " connection"
	case errors.Is(err, syscall.ECONNREFUSED):
		return who + " refused the " + proto + " connection"
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE), errors.Is(err, syscall.ENOTCONN):
		return who + " broke off the " + proto + " connection"
	case errors.Is(err, transport.ErrStream):
		return who + " sent over " + proto + " what is no SIP"
	case errors.Is(err, os.ErrDeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return "the " + proto + " connection to " + who + " timed out"
	default:
		return fmt.Sprintf("the %s connection to %s: %v", proto, who, err)
	}
}

// happened is what the messages do not tell of a play: connections that ended, and why something could not be sent.
func (r *replaying) happened(o *replay.Outcome) []diff.Note {
	notes := r.broken
	if o.Verdict == replay.Completed || len(notes) > 0 {
		return notes
	}
	for _, told := range [...]string{", got ", "nothing came", "unexpected ", "extra ", "more than was recorded"} {
		if strings.Contains(o.Reason, told) { // the messages tell what came and what did not
			return nil
		}
	}
	why := o.Reason
	if _, after, ok := strings.Cut(why, " could not be sent: "); ok {
		why = after
	} else if _, after, ok = strings.Cut(why, ": cannot send "); ok { // the headline says what
		if _, because, found := strings.Cut(after, ": "); found {
			why = because
		}
	}
	return []diff.Note{{Time: o.Ended, Text: why}}
}

// noSIP says how much came that was no SIP.
func (r *replaying) noSIP() []string {
	n := uint64(0)
	for _, l := range r.site.end.Stats().Listeners {
		n += l.NotSIP
	}
	switch n {
	case 0:
		return nil
	case 1:
		return []string{"1 datagram that came was no SIP"}
	default:
		return []string{fmt.Sprintf("%d datagrams that came were no SIP", n)}
	}
}
