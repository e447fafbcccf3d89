// Package columns says what a list of calls can show of a call, for every list: the command line's, the terminal's, the
// web's. It draws nothing; cells are the wire's text, for whoever draws them to make safe.
package columns

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"sipscope/correlate"
	"sipscope/decode"
)

// Column is a column of the call list.
type Column struct {
	Name  string // as --columns and --sort take it
	Title string // its head
	Help  string
	Right bool // align to the right
	// Cell is what it shows of a call; text of the wire as it is.
	Cell  func(s *correlate.Summary) string
	Least int // cells that a narrow terminal may shrink it to, 0 for none
	// Number is what it sorts by; nil sorts by the cell's text.
	Number func(s *correlate.Summary) int64
	// Class says of a cell whether it is good news; nil for a column without any.
	Class func(cell string) Class
}

// Compare orders two calls by the column.
func (c *Column) Compare(a, b *correlate.Summary) int {
	if c.Number != nil {
		return cmp.Compare(c.Number(a), c.Number(b))
	}
	return strings.Compare(c.Cell(a), c.Cell(b))
}

// Class is what a cell means.
type Class uint8

// Classes.
const (
	Plain Class = iota
	Good
	Bad
	Neutral // neither: it ended, but not as it should have or could have
)

// Default is what ls shows; on a narrow terminal the date goes first, then addresses and Call-ID, which flow and
// show have.
const (
	Default       = "num,start,method,from,to,source,destination,state,code,messages,duration,pdd,callid"
	mediumColumns = "num,time,method,from,to,source,destination,state,code,messages,duration,pdd,callid"
	smallColumns  = "num,time,method,from,to,state,code,messages,duration,pdd"
	narrowColumns = "num,time,method,from,to,state,code,duration"
	leastColumns  = "num,from,to,state,code"
)

// For chooses the default columns for a terminal; 0 cells is no terminal.
func For(width int) string {
	switch {
	case width == 0 || width >= 150:
		return Default
	case width >= 120:
		return mediumColumns
	case width >= 94:
		return smallColumns
	case width >= 60:
		return narrowColumns
	default:
		return leastColumns
	}
}

// HeaderPrefix names a header as a column: header.X-Account-ID.
const HeaderPrefix = "header."

type integer interface {
	~uint16 | ~uint32 | ~int32 | ~int64
}

func byNum[T integer](get func(*correlate.Summary) T) func(*correlate.Summary) int64 {
	return func(s *correlate.Summary) int64 { return int64(get(s)) }
}

func count(get func(*correlate.Summary) uint32) func(*correlate.Summary) string {
	return func(s *correlate.Summary) string { return strconv.FormatUint(uint64(get(s)), 10) }
}

func numeric(name, title, help string, get func(*correlate.Summary) uint32) Column {
	return Column{Name: name, Title: title, Help: help, Right: true, Cell: count(get), Number: byNum(get)}
}

func span(name, title, help string, get func(*correlate.Summary) int64) Column {
	return Column{
		Name: name, Title: title, Help: help, Right: true, Number: byNum(get),
		Cell: func(s *correlate.Summary) string { return Duration(get(s)) },
	}
}

// leastWord is how far a narrow terminal shrinks a column of text.
const leastWord = 8

func word(name, title, help string, get func(*correlate.Summary) string) Column {
	return Column{Name: name, Title: title, Help: help, Cell: get, Least: leastWord}
}

// All lists all columns but headers.
func All() []Column {
	return slices.Concat(identityColumns(), partyColumns(), figureColumns(), mediaColumns())
}

func identityColumns() []Column {
	return []Column{
		numeric("num", "#", "number in the list", func(s *correlate.Summary) uint32 { return s.Num }),
		{
			Name: "start", Title: "START", Help: "time of the first message, UTC",
			Cell: func(s *correlate.Summary) string {
				return time.Unix(0, s.First).UTC().Format("2006-01-02 15:04:05.000")
			},
			Number: byNum(func(s *correlate.Summary) int64 { return s.First }),
		},
		{
			Name: "time", Title: "TIME", Help: "of the first message, without the date",
			Cell:   func(s *correlate.Summary) string { return time.Unix(0, s.First).UTC().Format("15:04:05.000") },
			Number: byNum(func(s *correlate.Summary) int64 { return s.First }),
		},
		{
			Name: "method", Title: "METHOD", Help: "of the first request",
			Cell: func(s *correlate.Summary) string { return s.Method },
		},
		{
			Name: "state", Title: "STATE", Help: "what became of the call", Class: stateClass,
			Cell: func(s *correlate.Summary) string { return s.State.String() },
		},
		{
			Name: "code", Title: "CODE", Help: "final status", Right: true,
			Cell: func(s *correlate.Summary) string {
				if s.Code == 0 {
					return ""
				}
				return strconv.Itoa(int(s.Code))
			},
			Number: byNum(func(s *correlate.Summary) uint16 { return s.Code }),
		},
		word("reason", "REASON", "reason phrase of the final status", func(s *correlate.Summary) string { return s.Reason }),
		word("callid", "CALL-ID", "Call-ID", func(s *correlate.Summary) string { return s.CallID }),
		word("transport", "TRANSPORT", "UDP, TCP, ...", transports),
		word("tunnels", "TUNNELS", "what its frames were in: vlan:100, gre, vxlan:5001/vlan:7, ...",
			func(s *correlate.Summary) string { return strings.Join(s.Tunnels, ",") }),
		{
			Name: "group", Title: "GROUP", Help: "lowest number of the calls joined with it", Right: true,
			Cell: func(s *correlate.Summary) string {
				if s.Group == 0 {
					return ""
				}
				return strconv.FormatUint(uint64(s.Group), 10)
			},
			Number: byNum(func(s *correlate.Summary) uint32 { return s.Group }),
		},
		word("relation", "RELATION", "how it was joined", func(s *correlate.Summary) string { return s.Relation }),
	}
}

func partyColumns() []Column {
	return []Column{
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

func figureColumns() []Column {
	return []Column{
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
			Name: "cause", Title: "CAUSE", Help: "Q.850 cause of a Reason header", Right: true,
			Cell: func(s *correlate.Summary) string {
				if s.Cause < 0 {
					return ""
				}
				return strconv.Itoa(int(s.Cause))
			},
			Number: byNum(func(s *correlate.Summary) int32 { return s.Cause }),
		},
	}
}

// stateClass tells good from bad at a glance.
func stateClass(cell string) Class {
	switch cell {
	case "completed", "answered", "registered", "subscribed", "succeeded":
		return Good
	case "failed", "timed_out", "not_found", "declined":
		return Bad
	case "busy", "cancelled", "challenged", "redirected", "unregistered", "terminated":
		return Neutral
	default:
		return Plain
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

// Duration writes nanoseconds as a person reads them: three significant places in a fitting unit.
func Duration(ns int64) string {
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

// Choose finds the columns named in a comma-separated list. Headers are "header.NAME"; their values stand in
// Summary.Columns in the order of the returned headers.
func Choose(list string) (chosen []Column, headers []string, err error) {
	for name := range strings.SplitSeq(list, ",") {
		name = strings.TrimSpace(name)
		if h, ok := strings.CutPrefix(name, HeaderPrefix); ok && h != "" {
			i := len(headers)
			headers = append(headers, h)
			chosen = append(chosen, Header(h, func(s *correlate.Summary) string {
				if i < len(s.Columns) {
					return s.Columns[i]
				}
				return ""
			}))
			continue
		}
		c, err := Find(name)
		if err != nil {
			return nil, nil, err
		}
		chosen = append(chosen, c)
	}
	return chosen, headers, nil
}

// Header is the column of a header, whose value get gives.
func Header(name string, get func(*correlate.Summary) string) Column {
	return word(HeaderPrefix+name, strings.ToUpper(name), "first value of the header in the call", get)
}

// Find gives a column that is no header, whatever the case of its name.
func Find(name string) (Column, error) {
	known := All()
	i := slices.IndexFunc(known, func(c Column) bool { return strings.EqualFold(c.Name, name) })
	if i < 0 {
		return Column{}, fmt.Errorf("no column is called %q", name)
	}
	return known[i], nil
}

// Names lists the names there are, for a hint.
func Names() string {
	var b strings.Builder
	for _, c := range All() {
		b.WriteString(c.Name + ", ")
	}
	return b.String() + "and " + HeaderPrefix + "NAME for any header"
}

// Sort orders calls by a column; a leading "-" turns it round. Ties stay in order.
func Sort(calls []correlate.Summary, by string) error {
	name, descending := strings.CutPrefix(by, "-")
	c, err := Find(name)
	if err != nil {
		return fmt.Errorf("cannot sort by %q: %w", name, err)
	}
	slices.SortStableFunc(calls, func(a, b correlate.Summary) int {
		if descending {
			return c.Compare(&b, &a)
		}
		return c.Compare(&a, &b)
	})
	return nil
}
