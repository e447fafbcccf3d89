package stats

import (
	"sipscope/correlate"
	"sipscope/decode"
)

// Loss is a count of what a run lacks, in words that every front end uses.
type Loss struct {
	N     uint64
	What  string // "RTP streams let go"
	Limit bool   // a limit of ours let it go; else the capture, or what made it, lacks it
}

// Losses lists what is not 0, the limits first.
func Losses(l *correlate.Limited, s *decode.StreamLimits) []Loss {
	var out []Loss
	for _, x := range [...]Loss{
		{l.EvictedCalls, "calls evicted", true},
		{l.UnkeptMessages, "messages of overlong calls not kept", true},
		{l.UnkeptGaps, "holes not kept", true},
		{l.SharedAddresses, "messages of calls with too many addresses to tell apart", true},
		{l.SharedPaths, "messages in more distinct tunnels than are told apart", true},
		{l.SharedMethods, "messages with more unknown methods than are told apart", true},
		{l.Connections, "older TLS connections forgotten", true},
		{l.EvictedStreams, "RTP streams let go", true},
		{l.UnprovedStreams, "possible RTP streams let go before they were proved", true},
		{l.EvictedLanes, "ways of media beside RTP let go", true},
		{l.ForgottenMedia, "media addresses forgotten", true},
		{l.UnkeptReports, "RTCP reports that count but are not kept one by one", true},
		{l.UnmappedMedia, "media addresses with more lists of payload types than are told apart", true},
		{s.Evicted, "TCP and SCTP connections let go", true},
		{s.Fragments, "incomplete IP datagrams let go", true},
		{s.Secrets, "TLS secrets forgotten for newer ones", true},
		{s.Unawaited, "TLS connections whose keys were not waited for any longer", true},
		{s.Unkept, "decoded texts not kept, which cannot be shown", true},
		{s.Gaps, "holes in TCP streams", false},
		{s.Datagrams, "datagrams with missing fragments", false},
		{s.Overlaps, "overlapping segments and fragments", false},
	} {
		if x.N > 0 {
			out = append(out, x)
		}
	}
	return out
}

// Losses lists what the result counts of it.
func (r *Result) Losses() []Loss {
	s := &r.Streams
	return Losses(&r.Limited, &decode.StreamLimits{
		Datagrams: s.Datagrams, Gaps: s.Gaps, Evicted: s.Evicted, Fragments: s.Fragments, Overlaps: s.Overlaps,
		Secrets: s.Secrets, Unawaited: s.Unawaited, Unkept: s.Unkept,
	})
}
