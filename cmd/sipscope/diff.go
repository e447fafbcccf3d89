package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"sipscope/correlate/diff"
	"sipscope/render/pair"
	"sipscope/render/save"
)

// diffCommand is "sipscope diff": what differs between two calls, or between the calls of two captures.
type diffCommand struct {
	input
	ruleFlags

	calls []string
	hops  bool
	group bool
	by    string
	same  []string
	tui   bool

	format  string
	out     string
	force   bool
	title   string
	maxSize string
	width   int
	color   string
	limit   int
	details int

	failed atomic.Pointer[error] // the first text that could not be read again
}

func newDiff(std stdio) *cobra.Command {
	c := &diffCommand{input: input{io: std}}
	cmd := &cobra.Command{
		Use:   "diff A [B] [--call N [--call M]]",
		Short: "Compare two calls, or the calls of two captures: the first meaningful difference first",
		Long: `Compare a call that worked with one that did not: of one capture or of two. Messages are aligned by transaction; what any
two calls differ in (Call-ID, tags, branches, nonces, times, ports, the addresses of hosts that correspond) is no
difference, and headers and session descriptions are compared by what they mean, not by how they are written.

The first line names the first difference that matters and what follows from it. Then both ladders, side by side where
the terminal has room, else as one with rows of - and +; then the messages that differ, line by line.

Two captures without --call are compared call by call: matched by Call-ID, what is left by users, then by order (--by).
The first --call is of the first capture, the second of the second; of one capture, --call 3,5 names both. --hops compares
a call's messages on their way: what each element added, removed and rewrote, and how long it took.

Exit codes: 0 the same (tolerated differences may be listed), 1 they differ, 2 usage, 3 an input is damaged.`,
		Example: `  sipscope diff good.pcap --call 3 bad.pcap --call 5
  sipscope diff trace.pcap --call 3,5
  sipscope diff good.pcap bad.pcap
  sipscope diff before.pcap after.pcap --filter 'method == "INVITE"' --format html -o diff.html
  sipscope diff good.pcap bad.pcap --final class --ignore P-Charging-Vector --format junit -o diff.xml
  sipscope diff trace.pcap --call 3 --hops`,
		Args: cobra.MaximumNArgs(2),
		RunE: c.run,
	}
	f := cmd.Flags()
	f.StringArrayVar(&c.calls, "call", nil, "call by number, Call-ID or a beginning of it; twice, or 3,5, for two calls")
	f.BoolVar(&c.hops, "hops", false, "compare the messages of one call hop by hop")
	f.BoolVar(&c.group, "group", false, "with --call: with all calls that are joined with it (legs of a back-to-back user agent)")
	f.StringVar(&c.by, "by", "any", "how the calls of two captures are matched: any, call-id, users or number")
	c.ruleFlags.flags(f)
	f.StringArrayVar(&c.same, "same", nil, "user, host or name of the first side and what the second calls it: 3001=test1 (repeatable)")
	f.BoolVar(&c.tui, "tui", false, "look at it in the terminal UI")
	f.StringVar(&c.format, "format", "", "text, ascii, json, junit or html (default: by the ending of -o, else text)")
	f.StringVarP(&c.out, "output", "o", "", "file to write (default: standard output)")
	f.BoolVar(&c.force, "force", false, "overwrite an existing file")
	f.StringVar(&c.title, "title", "", "title of the page and of the test suite")
	f.StringVar(&c.maxSize, "max-size", "25MB", "size that the page may have; pairs that are the same are left out first")
	f.IntVar(&c.width, "width", 0, "cells to draw in (default: the terminal's; 120 when there is none)")
	f.StringVar(&c.color, "color", "auto", "auto, always or never")
	f.IntVar(&c.limit, "limit", 0, "pairs of calls to draw below the table (default 10; -1 for none)")
	f.IntVar(&c.details, "details", 0, "pairs of messages to compare line by line (default 20; -1 for none)")
	all := pflag.NewFlagSet("input", pflag.ContinueOnError)
	c.input.flags(all)
	for _, name := range []string{"input", "jobs", "max-calls", "quiet", "bpf"} {
		f.AddFlag(all.Lookup(name))
	}
	c.filterFlags(f)
	return cmd
}

// drawn is what a comparison is drawn as, by flags that were checked.
type drawn struct {
	format string
	size   int64
	text   pair.TextOptions
	rules  diff.Rules
	by     diff.MatchBy
}

// check checks the flags.
func (c *diffCommand) check() (d drawn, err error) {
	if d.format, err = c.chooseFormat(); err != nil {
		return d, err
	}
	if d.rules, err = c.rules(); err != nil {
		return d, err
	}
	if d.rules.Alias, err = aliases(c.same); err != nil {
		return d, err
	}
	if d.size, err = parseSize("--max-size", c.maxSize); err != nil {
		return d, err
	}
	by, ok := map[string]diff.MatchBy{"any": diff.ByAny, "call-id": diff.ByCallID, "users": diff.ByUsers, "number": diff.ByNumber}[c.by]
	if !ok {
		return d, oneOf("--by", c.by, "any", "call-id", "users", "number")
	}
	d.by = by
	color, err := useColor(c.color, c.io.out)
	if err != nil {
		return d, err
	}
	toFile := c.out != "" && c.out != "-"
	d.text = pair.TextOptions{
		Width: c.width, ASCII: d.format == "ascii", Color: color && (!toFile || c.color == "always"), Pairs: c.limit, Details: c.details,
	}
	if d.text.Width == 0 && !toFile {
		d.text.Width = c.terminalWidth()
	}
	if d.text.Width == 0 {
		d.text.Width = plainWidth
	}
	return d, nil
}

func (c *diffCommand) chooseFormat() (string, error) {
	if c.format != "" {
		return c.format, oneOf("--format", c.format, "text", "ascii", "json", "junit", "html")
	}
	switch strings.ToLower(filepath.Ext(c.out)) {
	case ".html", ".htm":
		return "html", nil
	case ".json":
		return "json", nil
	case ".xml":
		return "junit", nil
	default:
		return "text", nil
	}
}

func (c *diffCommand) run(cmd *cobra.Command, args []string) error {
	d, err := c.check()
	if err != nil {
		return err
	}
	if c.tui {
		if err = checkPair(cmd, c.io, "format", "output"); err != nil {
			return err
		}
	}
	paths, err := c.paths(cmd, args)
	if err != nil {
		return err
	}
	names := c.names()
	if err = c.sane(paths, names); err != nil {
		return err
	}
	sides, err := c.open(cmd, paths)
	if err != nil {
		return err
	}
	defer closeAll(sides)
	r, err := c.report(sides, names, &d)
	if err != nil {
		return err
	}
	if c.tui {
		err = openPair(cmd.Context(), r)
	} else {
		err = c.write(cmd.Context(), r, sides, &d)
	}
	if err != nil {
		return exportError(err, c.out)
	}
	return c.verdict(r, sides, &d)
}

// verdict is the exit code. Damage is told in any case; that the calls differ is what a script asks for.
func (c *diffCommand) verdict(r *pair.Report, sides []*archive, d *drawn) error {
	var damage error
	for _, a := range sides {
		if damage == nil {
			damage = a.err
		}
	}
	if err := c.failed.Load(); damage == nil && err != nil {
		damage = *err
	}
	v := r.Verdict()
	if v != diff.Differs && (v != diff.Tolerated || !d.rules.Strict) {
		return damage
	}
	if damage != nil {
		fmt.Fprintf(c.io.err, "sipscope: %s\n", oneLine(damage.Error()))
	}
	return nothingError{}
}

// names are the calls of --call, with lists taken apart.
func (c *diffCommand) names() []string {
	var names []string
	for _, s := range c.calls {
		for name := range strings.SplitSeq(s, ",") {
			if name = strings.TrimSpace(name); name != "" {
				names = append(names, name)
			}
		}
	}
	return names
}

// sane reports what of captures and calls does not go together.
func (c *diffCommand) sane(paths, names []string) error {
	switch {
	case len(paths) > 2:
		return usagef("try: sipscope diff good.pcap bad.pcap", "%d captures named, and two can be compared", len(paths))
	case len(names) > 2:
		return usagef("try: --call 3,5", "%d calls named, and two can be compared", len(names))
	case len(paths) == 2 && paths[0] == "-" && paths[1] == "-":
		return usagef("write one of them to a file", "standard input can be read only once")
	case c.hops:
		return c.saneHops(paths, names)
	case len(paths) == 1 && len(names) == 1:
		return usagef("name two: --call 3,5; or look at its hops: --hops", "one call named, and nothing to compare it with")
	case c.group && len(names) == 0:
		return usagef("try: --call 3,5 --group", "--group takes the calls that are joined with those of --call")
	}
	return nil
}

// saneHops reports what does not go together with --hops.
func (c *diffCommand) saneHops(paths, names []string) error {
	switch {
	case len(paths) > 1 || len(names) > 1:
		return usagef("try: sipscope diff trace.pcap --call 3 --hops", "--hops compares the hops of one call")
	case c.group:
		return usagef("leave out one of them", "--hops compares one call, and --group several")
	}
	return nil
}

// open reads the captures.
func (c *diffCommand) open(cmd *cobra.Command, paths []string) ([]*archive, error) {
	var sides []*archive
	for _, path := range paths {
		in := c.input
		in.files = nil
		a, err := in.read(cmd.Context(), cmd, []string{path}, wants{again: true})
		if err != nil {
			closeAll(sides)
			return nil, err
		}
		sides = append(sides, a)
	}
	return sides, nil
}

func closeAll(sides []*archive) {
	for _, a := range sides {
		a.close()
	}
}

// write draws the report where it was asked for.
func (c *diffCommand) write(ctx context.Context, r *pair.Report, sides []*archive, d *drawn) error {
	draw := func(w io.Writer) error {
		switch d.format {
		case "json":
			return r.WriteJSON(w)
		case "junit":
			return r.WriteJUnit(w, d.rules.Strict)
		case "html":
			return r.WriteHTML(w, d.size)
		default:
			return r.WriteText(w, d.text)
		}
	}
	if c.out == "" || c.out == "-" {
		out := bufio.NewWriter(c.io.out)
		if err := draw(out); err != nil {
			return err
		}
		return out.Flush()
	}
	read := func(info fs.FileInfo) bool {
		return slices.ContainsFunc(sides, func(a *archive) bool { return a.door.frames.Includes(info) })
	}
	return save.File(ctx, c.out, c.force, read, draw)
}
