package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"sipscope/correlate/query"
	"sipscope/element/fault"
	"sipscope/element/resolve"
	"sipscope/render/columns"
)

// newRoot builds the command tree.
func newRoot(std stdio) *cobra.Command {
	list, ls := newLs(std)
	var noInterface, ascii bool
	var theme string
	root := &cobra.Command{
		Use:   "sipscope [FILE...]",
		Short: "See SIP: calls and ladder diagrams from packet captures",
		Long: `sipscope reads packet captures, finds the SIP in them on any port, and shows its calls.

  sipscope trace.pcap                     the calls in a terminal UI (F1 shows its keys); a list when stdout is no terminal
  sipscope ls trace.pcap                  the list of calls
  sipscope flow trace.pcap --call 1       one call as a ladder
  sipscope show trace.pcap --call 1       its messages
  sipscope stats trace.pcap               figures over all calls
  sipscope export trace.pcap --call 1 -o call.pcap
  sipscope report trace.pcap -o report.html     one offline page to hand over: charts, list, ladders, messages
  sipscope serve trace.pcap               the same in a browser, live
  sipscope trace.pcap -k keys.txt         with TLS decrypted by a key log (see: sipscope help tls)
  sipscope -d eth0                        live, from an interface (see: sipscope help live)
  sipscope capture -d eth0 -O sip.pcapng  to rotating files, one file a call, or a HEP collector
  sipscope scenario trapezoid             a call flow of the textbook, played and explained
  sipscope replay call.pcap --sut 10.0.0.5      play a recorded call against a server, and see where it goes otherwise
  sipscope ua call sip:bob@192.0.2.1      call somebody; ua answer, register, message, options, subscribe
  sipscope proxy, registrar, redirect     servers for tests

Captures are pcap or pcapng, plain, gzip or zstd, by content; - is standard input; several are merged by packet time.
A call is named by its number in the list, its Call-ID, or a unique beginning of it.

Exit codes: 0 done, 1 nothing matched, 2 usage, 3 the input is damaged but was read as far as it goes.`,
		Args:          cobra.ArbitraryArgs,
		SilenceErrors: true,
		SilenceUsage:  true,
		Version:       version,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 && !cmd.Flags().Changed("input") && !ls.live.wanted() {
				return cmd.Help()
			}
			if wantsTUI(cmd, std, noInterface, ls.live.wanted()) {
				return ls.runTUI(cmd.Context(), cmd, args, theme, ascii)
			}
			return list.RunE(cmd, args)
		},
	}
	root.Flags().AddFlagSet(list.Flags())
	root.Flags().BoolVarP(&noInterface, "no-interface", "N", false, "no terminal UI: print the list")
	root.Flags().StringVar(&theme, "theme", "", "of the terminal UI: auto, dark, light or mono")
	root.Flags().BoolVar(&ascii, "ascii", false, "draw the terminal UI with nothing but ASCII")
	root.SetIn(std.in)
	root.SetOut(std.out)
	root.SetErr(std.err)
	root.SetFlagErrorFunc(flagError)
	root.AddCommand(list, newFlow(std), newShow(std), newStats(std), newMedia(std), newExport(std), newReport(std), newDiff(std), newServe(std), newCapture(std), newInterfaces(std), newScenario(std), newUA(std), newRegistrar(std), newRedirect(std), newProxy(std), newReplay(std), newConfig(std), filtersTopic(), columnsTopic(), liveTopic(), tlsTopic(), faultsTopic(), namesTopic())
	return root
}

func flagError(cmd *cobra.Command, err error) error {
	return usagef("try: "+cmd.CommandPath()+" --help", "%w", err)
}

// filtersTopic is "sipscope help filters".
func filtersTopic() *cobra.Command {
	var b strings.Builder
	b.WriteString(query.Help())
	b.WriteString("\nFields:\n")
	for _, f := range query.Fields() {
		fmt.Fprintf(&b, "  %-16s %-9s %s\n", f.Name, f.Type, f.Text)
	}
	return &cobra.Command{Use: "filters", Short: "The filter language and its fields", Long: b.String()}
}

// faultsTopic is "sipscope help faults".
func faultsTopic() *cobra.Command {
	return &cobra.Command{Use: "faults", Short: "How elements are made to misbehave: --fault", Long: fault.Help}
}

// namesTopic is "sipscope help names".
func namesTopic() *cobra.Command {
	return &cobra.Command{Use: "names", Short: "Names that elements know without DNS: --host, --srv, --naptr, --names", Long: resolve.Help}
}

// columnsTopic is "sipscope help columns".
func columnsTopic() *cobra.Command {
	var b strings.Builder
	b.WriteString("Columns of the call list, for --columns and --sort (-NAME sorts downwards):\n\n")
	for _, c := range columns.All() {
		fmt.Fprintf(&b, "  %-16s %s\n", c.Name, c.Help)
	}
	fmt.Fprintf(&b, "  %-16s first value of any header in the call, e.g. header.X-Account-ID\n", columns.HeaderPrefix+"NAME")
	fmt.Fprintf(&b, "\nDefault: %s\n", columns.Default)
	return &cobra.Command{Use: "columns", Short: "The columns of the call list", Long: b.String()}
}
