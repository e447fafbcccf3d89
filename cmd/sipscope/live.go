package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/net/bpf"

	"sipscope/capture"
	filter "sipscope/capture/bpf"
	"sipscope/capture/hep"
	"sipscope/capture/live"
	"sipscope/capture/output"
	"sipscope/capture/spool"
	"sipscope/correlate"
	"sipscope/decode"
	"sipscope/render/save"
)

// liveFlags say where packets come from as they happen, how much of them is kept, and where they go besides.
type liveFlags struct {
	devices   []string // -d
	listen    []string // -L
	bpf       string
	buffer    int // MB
	snaplen   int
	promisc   bool
	user      string
	duration  time.Duration
	keep      time.Duration
	idle      time.Duration
	spool     string
	spoolSize string
	write     string // -O
	hep       hepFlags
}

// flags adds them. A command's help shows the first few; the others are in "sipscope help live".
func (l *liveFlags) flags(f *pflag.FlagSet) {
	f.StringSliceVarP(&l.devices, "device", "d", nil, "capture on an interface, or any (repeatable; see: sipscope interfaces, sipscope help live)")
	f.StringArrayVarP(&l.listen, "hep-listen", "L", nil, "listen for HEP: udp:ADDRESS:PORT, tcp:..., tls:... (repeatable)")
	f.StringVar(&l.bpf, "bpf", "", "keep only packets that match a tcpdump filter, of files, too")
	f.DurationVar(&l.duration, "duration", 0, "end a live capture after this time, such as 60s")
	rare := pflag.NewFlagSet("live", pflag.ContinueOnError)
	l.rare(rare)
	rare.VisitAll(func(flag *pflag.Flag) { flag.Hidden = true })
	f.AddFlagSet(rare)
}

// rare adds the flags that few need.
func (l *liveFlags) rare(f *pflag.FlagSet) {
	f.IntVarP(&l.buffer, "buffer", "B", live.DefaultBuffer>>20, "MB of memory in which the kernel keeps packets until they are read")
	f.IntVar(&l.snaplen, "snaplen", 0, "bytes kept of a packet (default: all)")
	f.BoolVar(&l.promisc, "promisc", false, "take what is addressed to others, too")
	f.StringVar(&l.user, "user", "", "run as this user once the interfaces are open (started as root)")
	f.DurationVar(&l.keep, "keep", 0, "keep ended calls for so long, such as 2h (default: as long as there is room)")
	f.DurationVar(&l.idle, "idle", 0, "with --keep: give up calls that do not end and have no message for so long (default 24h)")
	f.StringVar(&l.spool, "spool", "", "directory that keeps the newest packets on disk (default: a temporary one, removed at exit)")
	f.StringVar(&l.spoolSize, "spool-size", "2GB", "bytes on disk that the spool may take; the oldest go first")
	f.StringVarP(&l.write, "write", "O", "", "write all packets to a pcapng file, too (.pcap: classic; .zst: compressed)")
	l.hep.flags(f)
}

// hepFlags say who we are among capture agents and collectors.
type hepFlags struct {
	send     string // -H
	id       uint32
	node     string
	key      string
	compress bool
	cert     string
	certKey  string
	ca       string
	insecure bool
}

func (h *hepFlags) flags(f *pflag.FlagSet) {
	f.StringVarP(&h.send, "hep-send", "H", "", "send every message as HEP version 3 to udp:HOST:PORT, tcp:... or tls:...")
	f.Uint32Var(&h.id, "hep-id", 2001, "our capture agent number")
	f.StringVar(&h.node, "hep-node", "", "our name as a capture agent (default: the host's)")
	f.StringVar(&h.key, "hep-key-file", "", "file with the authentication key that we send, and that agents must send")
	f.BoolVar(&h.compress, "hep-compress", false, "compress what we send")
	f.StringVar(&h.cert, "hep-cert", "", "certificate for tls: listeners, PEM")
	f.StringVar(&h.certKey, "hep-cert-key", "", "its private key, PEM")
	f.StringVar(&h.ca, "hep-ca", "", "certificates that sign the collector's, PEM (default: the system's)")
	f.BoolVar(&h.insecure, "hep-insecure", false, "do not verify the collector's certificate")
}

// wanted reports whether packets come live.
func (l *liveFlags) wanted() bool { return len(l.devices)+len(l.listen) > 0 }

// fragmentsKept is said where a filter by port keeps more than it asks for.
const fragmentsKept = "sipscope: --bpf asks for ports: IP fragments are kept, too, since their ports are in the first one only"

// limits are those of the tracker.
func (in *input) limits() correlate.Limits {
	return correlate.Limits{Calls: in.maxCalls, Keep: int64(in.live.keep), Idle: int64(in.live.idle)}
}

// filter compiles --bpf; nil without one.
func (l *liveFlags) filter(kernel bool) (*filter.Filter, error) {
	if l.bpf == "" {
		return nil, nil //nolint:nilnil // no filter is none
	}
	f, err := filter.Parse(l.bpf, filter.Options{Fragments: true, Kernel: kernel})
	if err != nil {
		return nil, usagef("see: docs/capture-filters.md, or man pcap-filter", "--bpf: %w", err)
	}
	return f, nil
}

// opening is a live door while it is opened.
type opening struct {
	*door

	in      *input
	sources []capture.Source
	kinds   []func() []capture.SourceStatus
	names   []func(iface uint16) string
	stops   []func()
	chosen  *capture.Chosen
}

// openLive opens interfaces and listeners. The run ends, after what had arrived was read, when ctx does or --duration
// has passed.
func (in *input) openLive(ctx context.Context, command string) (*door, error) {
	o := &opening{door: &door{}, in: in}
	for _, step := range []func(context.Context) error{o.devices, o.listeners, o.unprivileged, o.chain, o.keep} {
		if err := step(ctx); err != nil {
			o.close()
			return nil, liveError(err, command)
		}
	}
	return o.door, nil
}

// liveError says what to do.
func liveError(err error, command string) error {
	var denied *live.PermissionError
	var unknown *live.NotFoundError
	switch {
	case errors.As(err, &denied):
		path, pathErr := os.Executable()
		if pathErr != nil {
			path = "sipscope"
		}
		return usageError{err: err, hint: denied.Hint(path)}
	case errors.As(err, &unknown):
		return usageError{err: err, hint: "see: sipscope interfaces"}
	case errors.As(err, new(usageError)):
		return err
	}
	return usageError{err: err, hint: "see: sipscope " + command + " --help"}
}

// devices opens the interfaces.
func (o *opening) devices(context.Context) error {
	l := &o.in.live
	if len(l.devices) == 0 {
		return nil
	}
	kernel, err := l.filter(true)
	if err != nil {
		return err
	}
	opts := live.Options{
		Devices: l.devices, Promiscuous: l.promisc, Snaplen: l.snaplen, Buffer: l.buffer << 20, Rings: o.in.workers,
		Now: time.Now,
	}
	if kernel != nil {
		opts.Filter = kernelProgram(kernel)
	}
	s, inKernel, err := openFiltered(opts)
	if err != nil {
		return err
	}
	o.closers = append(o.closers, s.Close)
	o.stops = append(o.stops, s.Stop)
	var source capture.Source = s
	if kernel != nil && !inKernel {
		o.chosen = capture.Choose(source, kernel.Match)
		source = o.chosen
	}
	if kernel != nil && kernel.Widened() && !o.in.quiet {
		fmt.Fprintln(o.in.io.err, fragmentsKept)
	}
	o.sources = append(o.sources, source)
	names := s.Devices()
	o.names = append(o.names, func(i uint16) string {
		if int(i) < len(names) {
			return names[i]
		}
		return ""
	})
	o.kinds = append(o.kinds, func() []capture.SourceStatus { return deviceStatus(s) })
	o.counts = func(iface uint16) (capture.NGCounts, bool) {
		n, i := capture.IfaceOf(iface)
		all := s.Stats()
		if n != 0 || int(i) >= len(all) {
			return capture.NGCounts{}, false
		}
		return capture.NGCounts{Received: all[i].Received, Dropped: all[i].KernelDropped}, true
	}
	o.name = strings.Join(names, " + ")
	return nil
}

// kernelProgram compiles a filter for sockets.
func kernelProgram(f *filter.Filter) func(link capture.LinkType) ([]bpf.RawInstruction, error) {
	return func(link capture.LinkType) ([]bpf.RawInstruction, error) {
		program, err := f.Program(link)
		if errors.Is(err, filter.ErrUserSpace) {
			err = errors.Join(live.ErrFilter, err)
		}
		return program, err
	}
}

// openFiltered opens interfaces with the filter in the kernel, or without it where the kernel cannot run it or has no
// room for it, which is small.
func openFiltered(opts live.Options) (s *live.Source, inKernel bool, err error) {
	s, err = live.Open(opts)
	if !errors.Is(err, live.ErrFilter) && !errors.Is(err, syscall.ENOMEM) {
		return s, true, err
	}
	opts.Filter = nil
	s, err = live.Open(opts)
	return s, false, err
}

// listeners opens the HEP listeners.
func (o *opening) listeners(ctx context.Context) error {
	l := &o.in.live
	if len(l.listen) == 0 {
		return nil
	}
	key, err := l.hep.secret()
	if err != nil {
		return err
	}
	opts := hep.ListenOptions{Addresses: l.listen, Key: key, Now: time.Now}
	if l.hep.cert != "" || l.hep.certKey != "" {
		cert, certErr := tls.LoadX509KeyPair(l.hep.cert, l.hep.certKey)
		if certErr != nil {
			return usagef("--hep-cert and --hep-cert-key name PEM files", "HEP certificate: %w", certErr)
		}
		opts.TLS = &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{cert}}
	}
	s, err := hep.Listen(context.WithoutCancel(ctx), opts)
	if err != nil {
		return usageError{err: err, hint: "it takes udp:ADDRESS:PORT, tcp:ADDRESS:PORT and tls:ADDRESS:PORT"}
	}
	o.closers = append(o.closers, s.Close)
	o.stops = append(o.stops, s.Stop)
	o.sources = append(o.sources, s)
	o.names = append(o.names, func(uint16) string { return "hep" })
	o.kinds = append(o.kinds, func() []capture.SourceStatus { return listenerStatus(s) })
	if o.name != "" {
		o.name += " + "
	}
	o.name += "HEP " + strings.Join(l.listen, ", ")
	return nil
}

// secret is the authentication key; empty without one.
func (h *hepFlags) secret() (string, error) {
	if h.key == "" {
		return "", nil
	}
	return secret(h.key)
}

// unprivileged gives up root.
func (o *opening) unprivileged(context.Context) error {
	user := o.in.live.user
	if user == "" {
		return nil
	}
	if err := live.DropPrivileges(user); err != nil {
		return fmt.Errorf("--user %s: %w", user, err)
	}
	return nil
}

// chain makes one source of all, with the filter, the end and the file of all packets.
func (o *opening) chain(ctx context.Context) error {
	l := &o.in.live
	source := o.sources[0]
	name := o.names[0]
	if len(o.sources) > 1 {
		j := capture.Join(o.sources...) //nolint:contextcheck // it ends with Close, after the run
		o.closers = append(o.closers, j.Close)
		source = j
		names := o.names
		name = func(i uint16) string {
			n, number := capture.IfaceOf(i)
			if n < len(names) {
				return names[n](number)
			}
			return ""
		}
	}
	if l.duration > 0 {
		limited, cancel := context.WithTimeout(ctx, l.duration)
		o.closers = append(o.closers, func() error { cancel(); return nil })
		ctx = limited
	}
	o.source = &ending{Source: source, stop: ctx.Done(), ask: o.stops, clock: time.Now}
	o.ifaceName = name
	if l.write != "" {
		return o.writing(l.write)
	}
	return nil
}

// writing writes all packets to a file on their way.
func (o *opening) writing(path string) error {
	out, err := output.Create(output.Options{
		Path: path, Names: o.ifaceName, Counts: o.counts, Application: "sipscope " + version, Writer: o.in.io.out, Zone: time.Local,
	})
	if err != nil {
		return usageError{err: err, hint: "name another file, or remove this one"}
	}
	o.closers = append(o.closers, func() error { return o.in.tellOutput(out) })
	o.source = &tee{Source: o.source, out: out}
	o.outputs = append(o.outputs, out)
	return nil
}

// maxLiveVault bounds the texts of a live run that are not in its packets byte for byte, in bytes; the oldest go first, as
// they do in the spool.
const maxLiveVault = 1 << 30

// keep puts the spool in front of the pipeline.
func (o *opening) keep(context.Context) error {
	size, err := parseSize("--spool-size", o.in.live.spoolSize)
	if err != nil {
		return err
	}
	s, err := spool.New(o.source, spool.Options{Dir: o.in.live.spool, Size: size, Names: o.ifaceName})
	if err != nil {
		return usageError{err: err, hint: "name another directory with --spool"}
	}
	o.closers = append(o.closers, s.Close)
	o.source = s
	o.vault = decode.NewVault(decode.VaultOptions{Limit: min(size, maxLiveVault), Newest: true})
	o.frames = save.Source{
		Frames: func() (save.Frames, error) {
			pass, err := s.Reopen()
			if err != nil {
				return nil, err
			}
			return pass, nil
		},
	}
	o.readAgain(s)
	kinds, chosen := o.kinds, o.chosen
	o.status = func() capture.Status {
		var st capture.Status
		for _, k := range kinds {
			st.Sources = append(st.Sources, k()...)
		}
		if chosen != nil {
			st.Left = chosen.Left()
		}
		spooled := s.Status()
		st.Spool = &spooled
		return st
	}
	return nil
}

// ending is a live source that ends when somebody has enough: what had arrived by then is still given.
type ending struct {
	capture.Source

	stop  <-chan struct{}
	ask   []func() // tells sources to end
	clock func() time.Time
	since time.Time // when it was stopped
	empty bool      // the last batch
}

// How long an ending source is waited for: HEP may be held for its reordering window, and a full ring takes a while.
const (
	endGrace = 500 * time.Millisecond
	endLast  = 20 * time.Second
)

// Next implements capture.Source.
func (e *ending) Next(ctx context.Context, b *capture.Batch) error {
	if e.since.IsZero() {
		select {
		case <-e.stop:
			e.since = e.clock()
			for _, f := range e.ask {
				f()
			}
		default:
		}
	} else if age := e.clock().Sub(e.since); e.empty && age > endGrace || age > endLast {
		b.Release()
		return io.EOF
	}
	err := e.Source.Next(ctx, b)
	e.empty = b.Empty()
	return err
}

// tee writes packets to a file on their way.
type tee struct {
	capture.Source

	out *output.Output
}

// Next implements capture.Source. A file that cannot be written must not end the capture: the output counts what it
// lacks, and says so.
func (t *tee) Next(ctx context.Context, b *capture.Batch) error {
	if err := t.Source.Next(ctx, b); err != nil {
		return err
	}
	for i := range b.Packets {
		_ = t.out.Write(&b.Packets[i], "")
	}
	_ = t.out.Tick(b.Now)
	return nil
}

// newInterfaces is "sipscope interfaces".
func newInterfaces(std stdio) *cobra.Command {
	return &cobra.Command{
		Use:     "interfaces",
		Short:   "The interfaces that -d takes",
		Example: "  sipscope interfaces\n  sipscope -d eth0",
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			all, err := live.Interfaces()
			if err != nil {
				return err
			}
			for i := range all {
				if _, err = fmt.Fprintln(std.out, interfaceLine(&all[i])); err != nil {
					return err
				}
			}
			return nil
		},
	}
}

func interfaceLine(i *live.Interface) string {
	state := "down"
	switch {
	case i.Name == live.Any:
		return fmt.Sprintf("%-16s all interfaces, those to come included", i.Name)
	case i.Up && !i.Running:
		state = "up, no carrier"
	case i.Up:
		state = "up"
	}
	if i.Loopback {
		state += ", loopback"
	}
	var addrs []string
	for _, a := range i.Addrs {
		addrs = append(addrs, a.String())
	}
	return strings.TrimRight(fmt.Sprintf("%-16s %-16s %s", oneLine(i.Name), state, strings.Join(addrs, " ")), " ")
}

// collectorTLS is how a collector's certificate is verified.
func (h *hepFlags) collectorTLS() (*tls.Config, error) {
	c := &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: h.insecure} //nolint:gosec // the operator asked for it
	if h.ca == "" {
		return c, nil
	}
	pem, err := os.ReadFile(h.ca)
	if err != nil {
		return nil, usageError{err: err}
	}
	c.RootCAs = x509.NewCertPool()
	if !c.RootCAs.AppendCertsFromPEM(pem) {
		return nil, usagef("it holds PEM certificates", "%s has no certificate", h.ca)
	}
	return c, nil
}
