package main

import (
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// liveTopic is "sipscope help live".
func liveTopic() *cobra.Command {
	rare := pflag.NewFlagSet("live", pflag.ContinueOnError)
	new(liveFlags).rare(rare)
	var b strings.Builder
	b.WriteString(`Every command that reads captures also takes packets as they come: from interfaces (-d) and from HEP agents (-L).

  sipscope -d eth0                          calls in the terminal UI, live
  sipscope serve -d any                     the same in a browser
  sipscope capture -d eth0 -O sip.pcapng    to files, nobody looks (see: sipscope capture --help)
  sipscope report -d eth0 --duration 60s -o minute.html
  sipscope stats -d eth0 --duration 10s --format json
  sipscope -L udp:0.0.0.0:9060              calls of HEP agents: Kamailio, heplify, captagent, sngrep -H
  sipscope ls trace.pcap -H udp:127.0.0.1:9060      a capture's messages to a HEP collector

Capturing needs the capability CAP_NET_RAW: run as root (--user drops it once the interfaces are open), or
  sudo setcap cap_net_raw+ep $(command -v sipscope)

What is shown is what happened: packets that the kernel dropped, that a queue dropped, or that the disk was too slow for
are counted and shown. -B makes the kernel's buffer larger. Texts stay on disk, in a ring of --spool-size; what the ring
has overwritten keeps its row, without its text. --limit (of calls) and --keep bound the memory of runs that last for days.

Ctrl-C and SIGTERM end a capture; what had arrived is still read. SIGUSR1 writes a report of the calls so far.

Flags beside -d, -L, --bpf and --duration:
`)
	b.WriteString(rare.FlagUsages())
	return &cobra.Command{Use: "live", Short: "Live capture: interfaces, HEP, spool, limits", Long: b.String()}
}
