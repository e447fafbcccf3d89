package main

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"sipscope/decode"
	"sipscope/render/ladder"
	"sipscope/render/save"
)

type exportCommand struct {
	input
	calls    []string
	out      string
	format   string
	together bool
	force    bool
	hop      int
	fast     bool
	whole    bool
	secrets  bool
	audio    string
	streams  []int
}

func newExport(std stdio) *cobra.Command {
	c := &exportCommand{input: input{io: std}}
	cmd := &cobra.Command{
		Use:   "export FILE... {-o OUT | --audio OUT}",
		Short: "Write calls to a file: their frames, messages, ladders or summaries",
		Long: `Write the chosen calls to a file. The format follows from its ending, or from --format:

` + formatList() + `
A pcap or pcapng file gets the frames that carried the calls' messages, fragments and TCP segments included, byte for
byte and with their times. Of TLS and WebSocket nobody can read a part: --connections adds all packets of the connections
that carried the calls, and --with-secrets the secrets that decrypt those, and no others, as a Decryption Secrets Block. The file appears when it is whole: what fails or is interrupted leaves nothing behind. An
existing file is kept unless --force is given, and a capture that is being read is kept in any case.

The format sipp writes one call as two scenarios for SIPp, OUT-uac.xml and OUT-uas.xml: what the caller sent and received,
and what the callee did, or with --hop N both from the N-th pair of participants. docs/sipp.md tells more.

With --audio FILE the sound of one call is written as a WAV file, caller left and callee right: G.711, G.722 and linear
PCM, SRTP with keys from SDP too. A folder (calls/) takes several calls. docs/audio.md tells more.`,
		Example: `  sipscope export trace.pcap --call 3 -o call3.pcap
  sipscope export trace.pcap --filter 'state == "failed"' -o failed.pcapng
  sipscope export trace.pcap --call 3 -o call3.txt
  sipscope export trace.pcap --filter 'duration > 60' -o long.csv
  sipscope export trace.pcap --call 3 --format ladder -o -
  sipscope export trace.pcap --call 3 --format sipp -o call3
  sipscope export trace.pcap --call 3 --audio call3.wav`,
		RunE: c.run,
	}
	f := cmd.Flags()
	f.StringArrayVar(&c.calls, "call", nil, "call by number, Call-ID or a beginning of it (repeatable)")
	f.StringVarP(&c.out, "output", "o", "", "file to write; - for standard output (pcap unless --format says otherwise)")
	f.StringVar(&c.format, "format", "", "what to write, instead of by the ending: "+strings.Join(formatNames(), ", "))
	f.BoolVar(&c.together, "together", false, "one ladder of all calls, by time, instead of one a call (mermaid and json always are)")
	f.BoolVar(&c.force, "force", false, "overwrite an existing file")
	f.BoolVar(&c.whole, "connections", false, "with pcap and pcapng: the whole TLS and WebSocket connections of the calls, with their handshakes")
	f.BoolVar(&c.secrets, "with-secrets", false, "with pcapng: likewise, and what decrypts these TLS connections, all that they carry")
	f.IntVar(&c.hop, "hop", 0, "with sipp: take both sides from this pair of participants, 1 for the caller's")
	f.BoolVar(&c.fast, "fast", false, "with sipp: without the recorded pauses")
	f.StringVar(&c.audio, "audio", "", "write the sound of one call as WAV; a folder takes several; - for standard output")
	f.IntSliceVar(&c.streams, "stream", nil, "with --audio: these streams, one or two, by their numbers in: sipscope media")
	c.flags(f)
	c.filterFlags(f)
	return cmd
}

func formatNames() []string {
	var all []string
	for _, f := range save.Formats() {
		all = append(all, f.String())
	}
	return append(all, sippFormat)
}

// formatList describes the formats, one a line.
func formatList() string {
	var b strings.Builder
	for _, f := range save.Formats() {
		fmt.Fprintf(&b, "  %-13s %-9s %s\n", f, f.Ext(), f.About())
	}
	fmt.Fprintf(&b, "  %-13s %-9s %s\n", sippFormat, "", sippAbout)
	return b.String()
}

// chooseFormat finds the format by --format or by the ending of the file. Capture tools use all kinds of endings, so
// one that says nothing stands for pcap; one that promises compression does not.
func (c *exportCommand) chooseFormat() (save.Format, error) {
	if c.format != "" {
		f, ok := save.ParseFormat(c.format)
		if !ok {
			return 0, oneOf("--format", c.format, formatNames()...)
		}
		return f, nil
	}
	if f, ok := save.FormatOf(c.out); ok {
		return f, nil
	}
	if ext := strings.ToLower(filepath.Ext(c.out)); slices.Contains([]string{".gz", ".zst", ".bz2", ".xz"}, ext) {
		return 0, usagef("write to standard output: -o - | gzip", "%s: nothing is written compressed", c.out)
	}
	return save.Pcap, nil
}

func (c *exportCommand) run(cmd *cobra.Command, args []string) error {
	if err := c.checkAudio(); err != nil {
		return err
	}
	if c.audio != "" {
		return c.readAudio(cmd, args)
	}
	if c.out == "" {
		return usagef("try: -o call.pcap", "no output file named")
	}
	format, err := c.checkFormat()
	if err != nil {
		return err
	}
	a, err := c.read(cmd.Context(), cmd, args, wants{again: true})
	if err != nil {
		return err
	}
	defer a.close()
	if c.format == sippFormat {
		return c.runSIPP(cmd.Context(), a)
	}
	nums, err := c.chosen(a)
	if err != nil {
		return err
	}
	m := newMediaOf(a.board, a.quiet)
	job := save.Job{
		Connections: c.connections(a), Secrets: c.secrets,
		Path: c.out, Format: format, Force: c.force, Together: c.together, Headers: a.cols,
		Calls: save.Numbered(a.board, slices.Values(nums)), Total: len(nums),
		Source: a.door.frames,
		Ladder: ladder.Options{
			Source: a.source(), Of: a.countCalls(), Accounting: a.accountingLine(), Streams: m.streams, Lanes: m.lanes, Findings: m.findings,
		},
	}
	report, stop := c.saving()
	var res save.Result
	if c.out == "-" {
		res, err = save.Write(cmd.Context(), c.io.out, job, report)
	} else {
		res, err = save.Run(cmd.Context(), job, report)
	}
	stop()
	if err != nil {
		return exportError(err, c.out)
	}
	written := plural(res.Calls, "call")
	if res.Frames > 0 {
		written = fmt.Sprintf("%d frames of %s", res.Frames, written)
	}
	fmt.Fprintf(c.io.err, "%s written to %s\n", written, c.out)
	return a.err
}

// checkFormat chooses the format, 0 for scenarios, and finds flags that do not go with it.
func (c *exportCommand) checkFormat() (f save.Format, err error) {
	if c.format != sippFormat {
		if c.hop != 0 || c.fast {
			return 0, usagef("try: --format sipp", "--hop and --fast are for scenarios of SIPp")
		}
		if f, err = c.chooseFormat(); err != nil {
			return 0, err
		}
	}
	switch {
	case c.secrets && !f.Secrets():
		return 0, usagef("name a file that ends with .pcapng, or --format pcapng", "--with-secrets is for pcapng files")
	case c.whole && !f.Frames():
		return 0, usagef("name a file that ends with .pcap or .pcapng", "--connections is for captures")
	}
	return f, nil
}

// connections gives the TLS connections that are to be whole; nil for none.
func (c *exportCommand) connections(a *archive) func() []decode.Secured {
	if !c.whole && !c.secrets {
		return nil
	}
	return a.board.Secured
}

// chosen finds the numbers of the calls to write. A filter may choose very many, so they are not copied here.
func (c *exportCommand) chosen(a *archive) ([]uint32, error) {
	var nums []uint32
	if len(c.calls) > 0 || c.filter == "" {
		calls, err := a.pick(c.calls)
		for i := range calls {
			nums = append(nums, calls[i].Num)
		}
		return nums, err
	}
	for s := range a.board.Calls() {
		if a.match(s) {
			nums = append(nums, s.Num)
		}
	}
	if len(nums) == 0 {
		return nil, nothingError{"no call matches"}
	}
	return nums, nil
}

// exportError adds what the user can do.
func exportError(err error, out string) error {
	var hint string
	switch {
	case errors.Is(err, save.ErrExists):
		return usagef("--force overwrites it", "%s exists", out)
	case errors.Is(err, save.ErrInput):
		hint = "name another file with -o"
	case errors.Is(err, save.ErrTooMany):
		hint = "take fewer calls, or: --format ndjson"
	case errors.Is(err, save.ErrNothing):
		return nothingError{save.ErrNothing.Error()}
	default:
		return err
	}
	return usageError{err: err, hint: hint}
}

// saving shows how far the writing is, on stderr when that is a terminal and it lasts.
func (c *exportCommand) saving() (report func(save.Progress), stop func()) {
	if c.quiet || !term.IsTerminal(int(c.io.err.Fd())) {
		return nil, func() {}
	}
	start, shown := time.Now(), false
	report = func(p save.Progress) {
		if percent := p.Percent(); percent >= 0 && time.Since(start) > progressAfter {
			shown = true
			fmt.Fprintf(c.io.err, "\r\x1b[Kwriting %d %%", percent)
		}
	}
	return report, func() {
		if shown {
			fmt.Fprint(c.io.err, "\r\x1b[K")
		}
	}
}
