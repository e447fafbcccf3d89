package main

import (
	"errors"
	"fmt"
	"io"
	"iter"
	"strings"

	"github.com/spf13/cobra"

	"sipscope/correlate"
	"sipscope/correlate/stats"
	"sipscope/render/columns"
	"sipscope/render/export"
	"sipscope/render/text"
)

type lsCommand struct {
	input
	format  string
	columns string
	sortBy  string
	limit   int
	width   int
	color   string
}

func newLs(std stdio) (*cobra.Command, *lsCommand) {
	c := &lsCommand{input: input{io: std}}
	cmd := &cobra.Command{
		Use:   "ls FILE...",
		Short: "List the calls of captures",
		Long: `List all calls: what shares a Call-ID is a call, whatever its method. The last line accounts for every packet.

Columns and their names: sipscope help columns. Filters: sipscope help filters.`,
		Example: `  sipscope ls trace.pcap
  sipscope ls trace.pcap --calls --sort -duration --limit 20
  sipscope ls trace.pcap --filter 'state == "failed" && status >= 500'
  sipscope ls trace.pcap --filter alice --columns num,state,from.user,header.X-Account-ID
  sipscope ls a.pcap b.pcapng.gz --format json
  ssh host tcpdump -w - | sipscope ls -`,
		RunE: c.run,
	}
	f := cmd.Flags()
	f.StringVar(&c.format, "format", "table", "table, json, ndjson or csv")
	f.StringVar(&c.columns, "columns", columns.Default, "columns of the table and the CSV, comma-separated (see: sipscope help columns)")
	f.StringVar(&c.sortBy, "sort", "num", "sort by a column; -NAME sorts downwards")
	f.IntVarP(&c.limit, "limit", "l", 0, "list at most so many calls")
	f.IntVar(&c.width, "width", 0, "cells to draw in (default: the terminal's; unlimited when there is none)")
	f.StringVar(&c.color, "color", "auto", "auto, always or never")
	c.flags(f)
	c.filterFlags(f)
	return cmd, c
}

func (c *lsCommand) run(cmd *cobra.Command, args []string) error {
	if err := oneOf("--format", c.format, "table", "json", "ndjson", "csv"); err != nil {
		return err
	}
	color, err := useColor(c.color, c.io.out)
	if err != nil {
		return err
	}
	if c.width == 0 {
		c.width = c.terminalWidth()
	}
	if c.format == "table" && !cmd.Flags().Changed("columns") {
		c.columns = columns.For(c.width)
	}
	cols, headers, err := columns.Choose(c.columns)
	if err == nil {
		err = columns.Sort(nil, c.sortBy)
	}
	if err != nil {
		return usagef("columns: "+columns.Names(), "%w", err)
	}
	a, err := c.read(cmd.Context(), cmd, args, wants{headers: headers})
	if err != nil {
		return err
	}
	defer a.close()
	out := newBehind(c.io.out)
	n, err := c.write(cmd, out, a, cols, color)
	err = errors.Join(err, out.Close())
	switch {
	case err != nil:
		return err
	case a.err != nil:
		return a.err
	case n == 0 && (c.filter != "" || c.callsOnly):
		return nothingError{"no call matches"}
	}
	return nil
}

// chosen gives the calls to list, in their order. Without sorting nothing is copied, so a hundred thousand calls cost no
// memory here. n counts them.
func (c *lsCommand) chosen(a *archive, n *int) iter.Seq[*correlate.Summary] {
	all := a.board.Calls()
	if c.sortBy != "num" {
		all = c.sorted(a)
	}
	return func(yield func(*correlate.Summary) bool) {
		for s := range all {
			if !a.match(s) {
				continue
			}
			if c.limit > 0 && *n >= c.limit {
				return
			}
			*n++
			if !yield(s) {
				return
			}
		}
	}
}

// sorted gives all calls that match in the order asked for.
func (c *lsCommand) sorted(a *archive) iter.Seq[*correlate.Summary] {
	var calls []correlate.Summary
	for s := range a.board.Calls() {
		if a.match(s) {
			calls = append(calls, *s)
		}
	}
	_ = columns.Sort(calls, c.sortBy) // the name was checked before reading
	return func(yield func(*correlate.Summary) bool) {
		for i := range calls {
			if !yield(&calls[i]) {
				return
			}
		}
	}
}

func (c *lsCommand) write(cmd *cobra.Command, w io.Writer, a *archive, cols []columns.Column, color bool) (n int, err error) {
	acct, limited := a.board.Accounting()
	doc := export.Document{Headers: a.cols}
	if doc.Accounting, doc.Limits, err = export.Accounting(acct, limited); err != nil {
		return 0, err
	}
	encrypted := a.board.Encrypted()
	if doc.Encrypted, err = export.SecuredJSON(encrypted); err != nil {
		return 0, err
	}
	calls := c.chosen(a, &n)
	switch c.format {
	case "json":
		err = export.WriteCallsJSON(w, calls, doc)
	case "ndjson":
		if err = export.WriteCallsNDJSON(w, calls, doc.Headers); err == nil {
			_, err = fmt.Fprintf(w, "{\"accounting\":%s,\"limits\":%s,\"encrypted\":%s}\n", doc.Accounting, doc.Limits, doc.Encrypted)
		}
	case "csv":
		if cmd.Flags().Changed("columns") {
			err = export.WriteCSV(w, names(cols), rows(cols, calls))
		} else {
			err = export.WriteCallsCSV(w, calls, doc.Headers)
		}
	default:
		err = c.table(w, a, cols, calls, &n, color)
	}
	return n, err
}

func names(cols []columns.Column) []string {
	all := make([]string, len(cols))
	for i := range cols {
		all[i] = cols[i].Name
	}
	return all
}

func rows(cols []columns.Column, calls iter.Seq[*correlate.Summary]) iter.Seq[[]string] {
	return func(yield func([]string) bool) {
		for s := range calls {
			if !yield(cells(cols, s)) {
				return
			}
		}
	}
}

func cells(cols []columns.Column, s *correlate.Summary) []string {
	row := make([]string, len(cols))
	for i := range cols {
		row[i] = cols[i].Cell(s)
	}
	return row
}

func (c *lsCommand) table(w io.Writer, a *archive, cols []columns.Column, calls iter.Seq[*correlate.Summary], n *int, color bool) error {
	var t text.Table
	for i := range cols {
		t.Columns = append(t.Columns, text.TableColumn{
			Title: cols[i].Title, Right: cols[i].Right, Min: cols[i].Least, Color: colorOf(cols[i].Class),
		})
	}
	for row := range rows(cols, calls) {
		t.Add(row...)
	}
	if err := t.Write(w, text.TableOptions{Width: c.width, Color: color}); err != nil {
		return err
	}
	if c.filter == "" && !c.callsOnly {
		o := text.TableOptions{Width: c.width, Color: color}
		if err := encryptedTable(w, a.board.Encrypted(), o); err != nil {
			return err
		}
	}
	_, err := fmt.Fprintf(w, "%s · %s\n", plural(*n, "call"), a.accountingLine())
	if limits := a.limitedLine(); err == nil && limits != "" {
		_, err = fmt.Fprintln(w, limits)
	}
	return err
}

// colorOf tells good from bad at a glance; the word says it too.
func colorOf(class func(cell string) columns.Class) func(cell string) text.Color {
	if class == nil {
		return nil
	}
	return func(cell string) text.Color {
		switch class(cell) {
		case columns.Good:
			return text.Green
		case columns.Bad:
			return text.Red
		case columns.Neutral:
			return text.Yellow
		default:
			return text.Plain
		}
	}
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// limitedLine says what limits cost, when they cost anything.
func (a *archive) limitedLine() string {
	acct, limited := a.board.Accounting()
	var parts []string
	add := func(n uint64, what string) {
		if n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, what))
		}
	}
	add(limited.EvictedCalls, "calls let go (--max-calls, --limit, --keep)")
	limited.EvictedCalls = 0 // said
	for _, x := range stats.Losses(&limited, &acct.Streams) {
		add(x.N, x.What)
	}
	acct.EachMalformed(func(reason string, n uint64) { add(n, "malformed: "+reason) })
	if len(parts) == 0 {
		return ""
	}
	return "limits and losses: " + strings.Join(parts, ", ")
}
