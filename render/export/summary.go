package export

import (
	"strconv"

	"sipscope/correlate"
	"sipscope/decode"
)

// AppendSummaryJSON appends a call's summary as one JSON object without a line end. headers are the names of
// s.Columns, in their order; nil for none. Durations are milliseconds with up to six decimals; what is not known is
// null. docs/json.md describes every field.
func AppendSummaryJSON(dst []byte, s *correlate.Summary, headers []string) []byte {
	dst = append(dst, `{"num":`...)
	dst = appendUint(dst, uint64(s.Num))
	dst = append(dst, ',')
	dst = appendText(dst, "call_id", s.CallID)
	dst = append(dst, ',')
	dst = appendText(dst, "method", s.Method)
	dst = append(dst, `,"state":"`...)
	dst = append(dst, s.State.String()...)
	dst = append(dst, `","start":`...)
	dst = appendTime(dst, s.First)
	dst = append(dst, `,"start_ns":`...)
	dst = strconv.AppendInt(dst, s.First, 10)
	dst = append(dst, `,"end":`...)
	dst = appendTime(dst, s.Last)
	dst = append(dst, `,"from":`...)
	dst = appendParty(dst, &s.From)
	dst = append(dst, `,"to":`...)
	dst = appendParty(dst, &s.To)
	dst = append(dst, ',')
	dst = appendText(dst, "ruri", s.RURI)
	dst = append(dst, `,"source":`...)
	dst = appendEndpoint(dst, s.Src)
	dst = append(dst, `,"destination":`...)
	dst = appendEndpoint(dst, s.Dst)
	dst = append(dst, `,"code":`...)
	dst = appendPositive(dst, uint64(s.Code))
	dst = append(dst, ',')
	dst = appendText(dst, "reason", s.Reason)
	dst = append(dst, `,"q850_cause":`...)
	dst = appendIndex(dst, int(s.Cause))
	dst = appendCounts(dst, s)
	return append(appendRest(dst, s, headers), '}')
}

// appendRest writes the fields from the figures on.
func appendRest(dst []byte, s *correlate.Summary, headers []string) []byte {
	dst = append(dst, `,"pdd_ms":`...)
	dst = appendMs(dst, s.PDD)
	dst = append(dst, `,"setup_ms":`...)
	dst = appendMs(dst, s.Setup)
	dst = append(dst, `,"duration_ms":`...)
	dst = appendMs(dst, s.Duration)
	dst = append(dst, `,"released_by":`...)
	dst = appendEndpoint(dst, s.ReleasedBy)
	dst = append(dst, `,"ended_by":`...)
	dst = appendWord(dst, s.EndedBy.String())
	dst = append(dst, ',')
	dst = appendText(dst, "user_agent", s.UserAgent)
	dst = append(dst, ',')
	dst = appendText(dst, "server", s.Server)
	dst = append(dst, `,"transports":`...)
	dst = appendTransports(dst, s.Transports)
	dst = append(dst, `,"tunnels":`...)
	dst = appendTexts(dst, s.Tunnels)
	dst = append(dst, `,"group":`...)
	dst = appendPositive(dst, uint64(s.Group))
	dst = append(dst, `,"relation":`...)
	dst = appendWord(dst, s.Relation)
	dst = append(dst, `,"columns":`...)
	dst = appendColumns(dst, s.Columns, headers)
	dst = append(dst, `,"evidence":`...)
	return appendEvidence(dst, &s.Evidence)
}

func appendParty(dst []byte, p *correlate.Party) []byte {
	dst = appendText(append(dst, '{'), "user", p.User)
	dst = appendText(append(dst, ','), "host", p.Host)
	dst = appendText(append(dst, ','), "display", p.Display)
	dst = appendText(append(dst, ','), "uri", p.URI)
	return append(dst, '}')
}

func appendCounts(dst []byte, s *correlate.Summary) []byte {
	dst = append(dst, `,"messages":`...)
	dst = appendUint(dst, uint64(s.Messages))
	dst = append(dst, `,"retransmissions":`...)
	dst = appendUint(dst, uint64(s.Retransmissions))
	dst = append(dst, `,"duplicates":`...)
	dst = appendUint(dst, uint64(s.Duplicates))
	dst = append(dst, `,"transactions":`...)
	dst = appendUint(dst, uint64(s.Transactions))
	dst = append(dst, `,"dialogs":`...)
	dst = appendUint(dst, uint64(s.Dialogs))
	dst = append(dst, `,"early_dialogs":`...)
	dst = appendUint(dst, uint64(s.EarlyDialogs))
	dst = append(dst, `,"hops":`...)
	dst = appendUint(dst, uint64(s.Hops))
	dst = append(dst, `,"gaps":`...)
	dst = appendUint(dst, uint64(s.Gaps))
	dst = append(dst, `,"diags":`...)
	return appendUint(dst, uint64(s.Diags))
}

// appendTransports writes the names of the bits, in the order of decode.Transport.
func appendTransports(dst []byte, bits uint8) []byte {
	dst = append(dst, '[')
	for t := decode.UDP; t <= decode.WSS; t++ {
		if bits&(1<<t) == 0 {
			continue
		}
		if dst[len(dst)-1] != '[' {
			dst = append(dst, ',')
		}
		dst = append(dst, '"')
		dst = append(dst, t.String()...)
		dst = append(dst, '"')
	}
	return append(dst, ']')
}

// appendTexts writes a list of strings.
func appendTexts(dst []byte, list []string) []byte {
	dst = append(dst, '[')
	for i, s := range list {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendString(dst, s)
	}
	return append(dst, ']')
}

// appendColumns writes {header: value}. Values beyond the names that are known are left out.
func appendColumns(dst []byte, values, headers []string) []byte {
	dst = append(dst, '{')
	for i := range min(len(values), len(headers)) {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(appendString(dst, headers[i]), ':')
		dst = appendString(dst, values[i])
	}
	return append(dst, '}')
}

func appendEvidence(dst []byte, e *correlate.Evidence) []byte {
	dst = appendPositive(append(dst, `{"request":`...), e.Request)
	dst = appendPositive(append(dst, `,"ring":`...), e.Ring)
	dst = appendPositive(append(dst, `,"answer":`...), e.Answer)
	dst = appendPositive(append(dst, `,"final":`...), e.Final)
	dst = appendPositive(append(dst, `,"ack":`...), e.Ack)
	dst = appendPositive(append(dst, `,"cancel":`...), e.Cancel)
	dst = appendPositive(append(dst, `,"end":`...), e.End)
	return append(dst, '}')
}
