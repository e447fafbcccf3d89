package main

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"sipscope/correlate"
	"sipscope/decode"
	"sipscope/render/text"
)

// column is a column of the call list.
type column struct {
	name  string // as --columns and --sort take it
	title string
	text  string // for the help
	right bool
	cell  func(s *correlate.Summary) string
	least int                               // cells that a narrow terminal may shrink it to, 0 for none
	order func(a, b *correlate.Summary) int // nil: by the cell's text
	color func(cell string) text.Color
}

// defaultColumns is what ls shows; on a narrow terminal the date goes first, then addresses and Call-ID, which flow and
// show have.
const (
	defaultColumns = "num,start,method,from,to,source,destination,state,code,messages,duration,pdd,callid"
	mediumColumns  = "num,time,method,from,to,source,destination,state,code,messages,duration,pdd,callid"
	smallColumns   = "num,time,method,from,to,state,code,messages,duration,pdd"
	narrowColumns  = "num,time,method,from,to,state,code,duration"
)

// columnsFor chooses the default columns for a terminal; 0 cells is no terminal.
func columnsFor(width int) string {
	switch {
	case width == 0 || width >= 150:
		return defaultColumns
	case width >= 120:
		return mediumColumns
	case width >= 94:
		return smallColumns
	default:
		return narrowColumns
	}
}

// headerPrefix names a header as a column: header.X-Account-ID.
const headerPrefix = "header."

func byNum[T cmp.Ordered](get func(*correlate.Summary) T) func(a, b *correlate.Summary) int {
	return func(a, b *correlate.Summary) int { return cmp.Compare(get(a), get(b)) }
}

func count(get func(*correlate.Summary) uint32) func(*correlate.Summary) string {
	return func(s *correlate.Summary) string { return strconv.FormatUint(uint64(get(s)), 10) }
}

func numeric(name, title, help string, get func(*correlate.Summary) uint32) column {
	return column{name: name, title: title, text: help, right: true, cell: count(get), order: byNum(get)}
}

func span(name, title, help string, get func(*correlate.Summary) int64) column {
	return column{
		name: name, title: title, text: help, right: true, order: byNum(get),
		cell: func(s *correlate.Summary) string { return duration(get(s)) },
	}
}

// leastWord is how far a narrow terminal shrinks a column of text.
const leastWord = 8

func word(name, title, help string, get func(*correlate.Summary) string) column {
	return column{name: name, title: title, text: help, cell: get, least: leastWord}
}

// columns lists all columns but headers.
func columns() []column {
	return slices.Concat(identityColumns(), partyColumns(), figureColumns())
}

func identityColumns() []column {
	return []column{
		numeric("num", "#", "number in the list", func(s *correlate.Summary) uint32 { return s.Num }),
		{
			name: "start", title: "START", text: "time of the first message, UTC",
			cell: func(s *correlate.Summary) string {
				return time.Unix(0, s.First).UTC().Format("2006-01-02 15:04:05.000")
			},
			order: byNum(func(s *correlate.Summary) int64 { return s.First }),
		},
		{
			name: "time", title: "TIME", text: "of the first message, without the date",
			cell:  func(s *correlate.Summary) string { return time.Unix(0, s.First).UTC().Format("15:04:05.000") },
			order: byNum(func(s *correlate.Summary) int64 { return s.First }),
		},
		{
			name: "method", title: "METHOD", text: "of the first request",
			cell: func(s *correlate.Summary) string { return s.Method },
		},
		{
			name: "state", title: "STATE", text: "what became of the call", color: stateColor,
			cell: func(s *correlate.Summary) string { return s.State.String() },
		},
		{
			name: "code", title: "CODE", text: "final status", right: true,
			cell: func(s *correlate.Summary) string {
				if s.Code == 0 {
					return ""
				}
				return strconv.Itoa(int(s.Code))
			},
			order: byNum(func(s *correlate.Summary) uint16 { return s.Code }),
		},
		word("reason", "REASON", "reason phrase of the final status", func(s *correlate.Summary) string { return s.Reason }),
		word("callid", "CALL-ID", "Call-ID", func(s *correlate.Summary) string { return s.CallID }),
		word("transport", "TRANSPORT", "UDP, TCP, ...", transports),
		{
			name: "group", title: "GROUP", text: "lowest number of the calls joined with it", right: true,
			cell: func(s *correlate.Summary) string {
				if s.Group == 0 {
					return ""
				}
				return strconv.FormatUint(uint64(s.Group), 10)
			},
			order: byNum(func(s *correlate.Summary) uint32 { return s.Group }),
		},
		word("relation", "RELATION", "how it was joined", func(s *correlate.Summary) string { return s.Relation }),
	}
}

func partyColumns() []column {
	return []column{
		word("from", "FROM", "user@host of From", func(s *correlate.Summary) string { return party(&s.From) }),
		word("to", "TO", "user@host of To", func(s *correlate.Summary) string { return party(&s.To) }),
		word("from.user", "FROM USER", "user of From", func(s *correlate.Summary) string { return s.From.User }),
		word("from.host", "FROM HOST", "host of From", func(s *correlate.Summary) string { return s.From.Host }),
		word("from.name", "FROM NAME", "display name of From", func(s *correlate.Summary) string { return s.From.Display }),
		word("to.user", "TO USER", "user of To", func(s *correlate.Summary) string { return s.To.User }),
		word("to.host", "TO HOST", "host of To", func(s *correlate.Summary) string { return s.To.Host }),
		word("to.name", "TO NAME", "display name of To", func(s *correlate.Summary) string { return s.To.Display }),
		word("ruri", "REQUEST-URI", "Request-URI of the first request", func(s *correlate.Summary) string { return s.RURI }),
		word("source", "SOURCE", "address of the caller", func(s *correlate.Summary) string { return s.Src.String() }),
		word("destination", "DESTINATION", "address of the first hop", func(s *correlate.Summary) string { return s.Dst.String() }),
		word("ua", "USER AGENT", "User-Agent of the caller", func(s *correlate.Summary) string { return s.UserAgent }),
		word("server", "SERVER", "Server or User-Agent of the first response", func(s *correlate.Summary) string { return s.Server }),
		word("released_by", "RELEASED BY", "address that sent the BYE", released),
		word("ended_by", "ENDED BY", "caller, callee or network", func(s *correlate.Summary) string { return s.EndedBy.String() }),
	}
}

func figureColumns() []column {
	return []column{
		numeric("messages", "MSGS", "messages", func(s *correlate.Summary) uint32 { return s.Messages }),
		numeric("retransmissions", "RETR", "retransmissions", func(s *correlate.Summary) uint32 { return s.Retransmissions }),
		numeric("duplicates", "DUP", "frames the tap saw twice", func(s *correlate.Summary) uint32 { return s.Duplicates }),
		numeric("transactions", "TXN", "transactions, one a hop", func(s *correlate.Summary) uint32 { return s.Transactions }),
		numeric("dialogs", "DIALOGS", "confirmed dialogs", func(s *correlate.Summary) uint32 { return s.Dialogs }),
		numeric("early_dialogs", "EARLY", "early dialogs", func(s *correlate.Summary) uint32 { return s.EarlyDialogs }),
		numeric("hops", "HOPS", "pairs of addresses", func(s *correlate.Summary) uint32 { return s.Hops }),
		numeric("gaps", "GAPS", "holes in its streams and datagrams", func(s *correlate.Summary) uint32 { return s.Gaps }),
		numeric("diags", "DIAGS", "departures from the grammar", func(s *correlate.Summary) uint32 { return s.Diags }),
		span("pdd", "PDD", "post-dial delay: first INVITE to first 18x", func(s *correlate.Summary) int64 { return s.PDD }),
		span("setup", "SETUP", "first INVITE to 2xx", func(s *correlate.Summary) int64 { return s.Setup }),
		span("duration", "DURATION", "2xx to BYE", func(s *correlate.Summary) int64 { return s.Duration }),
		{
			name: "cause", title: "CAUSE", text: "Q.850 cause of a Reason header", right: true,
			cell: func(s *correlate.Summary) string {
				if s.Cause < 0 {
					return ""
				}
				return strconv.Itoa(int(s.Cause))
			},
			order: byNum(func(s *correlate.Summary) int32 { return s.Cause }),
		},
	}
}

// stateColor tells good from bad at a glance; the word says it too.
func stateColor(cell string) text.Color {
	switch cell {
	case "completed", "answered", "registered", "subscribed", "succeeded":
		return text.Green
	case "failed", "timed_out", "not_found", "declined":
		return text.Red
	case "busy", "cancelled", "challenged", "redirected", "unregistered", "terminated":
		return text.Yellow
	default:
		return text.Plain
	}
}

func party(p *correlate.Party) string {
	switch {
	case p.User == "" && p.Host == "":
		return p.URI
	case p.User == "":
		return p.Host
	default:
		return p.User + "@" + p.Host
	}
}

func transports(s *correlate.Summary) string {
	var names []string
	for t := decode.UDP; t <= decode.WSS; t++ {
		if s.Transports&(1<<t) != 0 {
			names = append(names, t.String())
		}
	}
	return strings.Join(names, ",")
}

func released(s *correlate.Summary) string {
	if !s.ReleasedBy.IsValid() {
		return ""
	}
	return s.ReleasedBy.String()
}

// duration writes nanoseconds as a person reads them: three significant places in a fitting unit.
func duration(ns int64) string {
	d := time.Duration(ns)
	switch {
	case ns < 0:
		return ""
	case d < time.Millisecond:
		return fmt.Sprintf("%.2f ms", d.Seconds()*1e3)
	case d < time.Second:
		return fmt.Sprintf("%.0f ms", d.Seconds()*1e3)
	case d < time.Minute:
		return fmt.Sprintf("%.2f s", d.Seconds())
	case d < time.Hour:
		return fmt.Sprintf("%d:%02d", int(d.Minutes()), int(d.Seconds())%60)
	default:
		return fmt.Sprintf("%d:%02d:%02d", int(d.Hours()), int(d.Minutes())%60, int(d.Seconds())%60)
	}
}

// chooseColumns finds the columns named in a comma-separated list. Headers are "header.NAME"; their values stand in
// Summary.Columns in the order of the returned headers.
func chooseColumns(list string) (chosen []column, headers []string, err error) {
	known := columns()
	for name := range strings.SplitSeq(list, ",") {
		name = strings.TrimSpace(name)
		if h, ok := strings.CutPrefix(name, headerPrefix); ok && h != "" {
			i := len(headers)
			headers = append(headers, h)
			chosen = append(chosen, word(name, strings.ToUpper(h), "", func(s *correlate.Summary) string {
				return s.Columns[i]
			}))
			continue
		}
		i := slices.IndexFunc(known, func(c column) bool { return strings.EqualFold(c.name, name) })
		if i < 0 {
			return nil, nil, usagef("columns: "+columnNames(known)+", and "+headerPrefix+"NAME for any header",
				"no column is called %q", name)
		}
		chosen = append(chosen, known[i])
	}
	return chosen, headers, nil
}

func columnNames(all []column) string {
	names := make([]string, len(all))
	for i := range all {
		names[i] = all[i].name
	}
	return strings.Join(names, ", ")
}

// sortCalls orders calls by a column; a leading "-" turns it round. Ties stay in order of number.
func sortCalls(calls []correlate.Summary, by string) error {
	name, descending := strings.CutPrefix(by, "-")
	known := columns()
	i := slices.IndexFunc(known, func(c column) bool { return strings.EqualFold(c.name, name) })
	if i < 0 {
		return usagef("columns: "+columnNames(known), "cannot sort by %q", name)
	}
	order := known[i].order
	if order == nil {
		cell := known[i].cell
		order = func(a, b *correlate.Summary) int { return strings.Compare(cell(a), cell(b)) }
	}
	slices.SortStableFunc(calls, func(a, b correlate.Summary) int {
		if descending {
			return order(&b, &a)
		}
		return order(&a, &b)
	})
	return nil
}
