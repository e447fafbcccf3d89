package main

import (
	"cmp"
	"slices"
	"strings"

	"sipscope/correlate/diff"
	"sipscope/element/replay"
	"sipscope/element/transport"
)

// compare compares what was recorded with what happened, and leaves out what cannot be the live side's doing:
//
//   - what we did by ourselves after the last step of a play that completed (dialogs ended that the recording leaves open,
//     requests answered that it leaves unanswered); the player notes it,
//   - REGISTERs that the plan made, which nobody recorded,
//   - what only the messages that we sent differ in: it follows from what the live side said before, such as its Contact,
//     or from a flag.
//
// Where all are played nobody else is to blame, and the second counts.
func (r *replaying) compare(recorded, got *side, o *replay.Outcome) *diff.Result {
	got = got.without(r.madeCalls(o))
	live, rules := got.flow("live"), r.rules
	rules.Calls = o.CallIDs
	if host, ok := r.plan.LiveHost(); ok && r.target.Proto != max(host.Proto, transport.UDP) { // as the operator wants it
		rules.Ignore = append(slices.Clone(rules.Ignore), "transport")
	}
	completed := o.Verdict == replay.Completed
	live.Notes = r.happened(o)
	rules.Ignore = append(slices.Clone(rules.Ignore), r.setNames()...)
	result := diff.Flows(recorded.flow("recorded"), live, rules)
	if completed && result.Verdict == diff.Differs {
		if own := r.afterwards(result, got); len(own) > 0 {
			live.Keep = func(call, message int) bool {
				for message >= 0 && !own[diff.Ref{Call: call, Message: message}] {
					message = got.calls[call].Messages[message].Repeats
				}
				return message < 0
			}
			result = diff.Flows(recorded.flow("recorded"), live, rules)
		}
	}
	if names := r.ourDoing(result); len(names) > 0 {
		rules.Ignore = append(rules.Ignore, names...)
		result = diff.Flows(recorded.flow("recorded"), live, rules)
	}
	if o.Verdict == replay.Diverged && result.Verdict != diff.Differs { // what the messages alone do not tell
		result.Verdict, result.Headline = diff.Differs, o.Reason
	}
	return result
}

// without is the side without the calls of these Call-IDs.
func (s *side) without(ids map[string]bool) *side {
	out := *s
	out.calls, out.texts = nil, nil
	for i := range s.calls {
		if !ids[s.calls[i].CallID] {
			out.calls, out.texts = append(out.calls, s.calls[i]), append(out.texts, s.texts[i])
		}
	}
	return &out
}

// madeCalls are the live Call-IDs of what the plan has made.
func (r *replaying) madeCalls(o *replay.Outcome) map[string]bool {
	made := map[string]bool{}
	for i := range r.plan.Steps {
		if s := &r.plan.Steps[i]; s.Made && s.Call >= 0 {
			if id := o.CallIDs[r.plan.Calls[s.Call].CallID]; id != "" {
				made[id] = true
			}
		}
	}
	return made
}

// setNames are the headers that --set gives other values.
func (r *replaying) setNames() []string {
	var names []string
	for _, s := range r.c.sets {
		key, _, _ := strings.Cut(s, "=")
		if _, name, ok := strings.Cut("."+key, ".header."); ok {
			names = append(names, name)
		}
	}
	return names
}

// ourDoing names what only messages of ours differ in, as Rules.Ignore takes it.
func (r *replaying) ourDoing(result *diff.Result) []string {
	if r.live == "" {
		return nil
	}
	ours, theirs := map[string]bool{}, map[string]bool{}
	for i := range result.Rows {
		row := &result.Rows[i]
		if !row.A.Valid() || !row.B.Valid() {
			continue
		}
		of := ours
		if result.Who[row.From].Name == r.live {
			of = theirs
		}
		for _, d := range row.Differences {
			if d.Verdict != diff.Differs || d.Where == "status" {
				continue
			}
			name := d.Where
			if strings.HasPrefix(name, "SDP") {
				name = "sdp"
			}
			of[strings.ToLower(name)] = true
		}
	}
	var names []string
	for name := range ours {
		if !theirs[name] {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// afterwards finds what we did after the last message that has its counterpart in the recording: requests of ours, answers
// of ours, and what came for these.
func (r *replaying) afterwards(result *diff.Result, got *side) map[diff.Ref]bool {
	last := int64(-1)
	var extra []*diff.Row
	for i := range result.Rows {
		switch row := &result.Rows[i]; {
		case row.A.Valid() && row.B.Valid():
			last = max(last, row.TimeB)
		case row.B.Valid():
			extra = append(extra, row)
		}
	}
	slices.SortStableFunc(extra, func(a, b *diff.Row) int { return cmp.Compare(a.TimeB, b.TimeB) })
	type transaction struct{ call, txn int }
	begun := map[transaction]bool{}
	own := map[diff.Ref]bool{}
	for _, row := range extra {
		m := &got.calls[row.B.Call].Messages[row.B.Message]
		t := transaction{row.B.Call, m.Txn}
		ours := r.live == "" || result.Who[row.From].Name != r.live
		if row.TimeB > last && (ours || begun[t]) {
			begun[t] = true
			own[row.B] = true
		}
	}
	return own
}
