// Package bpf compiles tcpdump's filter language, pcap-filter(7), to classic BPF programs.
//
//	text ─▶ words ─▶ tree ─▶ conditions for one link type ─▶ blocks, shortened ─▶ program
//
// What a program keeps is what tcpdump keeps of the same packets, frame by frame; docs/capture-filters.md says what is
// refused, and why. The package knows nothing of SIP, resolves no names through the network and attaches nothing: a
// program is given to whoever owns a socket, and Match runs one on packets of any source.
//
// A Filter is immutable. Any number of goroutines may use it at once.
package bpf

import (
	"errors"
	"sync"

	xbpf "golang.org/x/net/bpf"

	"sipscope/capture"
)

// Keep is what a program returns for a packet that it keeps, in bytes: more than any frame has. 0 drops the packet.
const Keep = 1 << 18

// MaxKernel is how many instructions Linux accepts in one program (BPF_MAXINSNS).
const MaxKernel = 4096

// Options change what a filter keeps.
type Options struct {
	// Fragments keeps the IP fragments that a test of ports cannot judge: IPv4 fragments with an offset, and IPv6
	// packets with a fragment header, of the protocols that the test names. Only tests of ports are widened, and only
	// where keeping more is the safe side: "host a and port 5060" keeps fragments of host a, "not port 5060" keeps
	// fragments anyway.
	Fragments bool
	// Kernel makes Program compile for a packet socket on Linux. There the kernel has taken the outermost VLAN tag off,
	// and tests of it look at the packet's metadata. LinkSLL and LinkSLL2 mean a cooked socket (SOCK_DGRAM), which
	// gives the network layer only. Match is not changed: it sees frames with their tags and headers put back.
	Kernel bool
}

// Filter is a parsed filter. It compiles itself for a link type when first asked to.
type Filter struct {
	text    string
	root    node // nil keeps everything
	opts    Options
	widened bool
	kernel  [linkKinds]program // for Program when Options.Kernel is set
	files   [linkKinds]program // for all else
}

// program is what a filter became for one kind of link.
type program struct {
	once sync.Once
	code []xbpf.RawInstruction
	err  error
	none bool // no packet can match; err says so too
}

// Parse reads an expression; an empty one keeps everything. The error is a *SyntaxError when the text is wrong, when
// no packet could ever match, or when no link type knows what it asks for.
func Parse(expr string, o Options) (*Filter, error) {
	root, err := parse(expr)
	if err != nil {
		return nil, err
	}
	f := &Filter{text: expr, root: root, opts: o}
	f.widened = o.Fragments && root != nil && testsPorts(root, false)
	if root == nil {
		return f, nil
	}
	// What one link type can do is enough; what none can do is an error of the expression. Ethernet, the first and
	// the most capable of them, gives the reason. The loopback types can do nothing that raw IP cannot.
	var first error
	for _, kind := range []linkKind{linkEthernet, linkSLL, linkSLL2, linkRaw, linkIPv4, linkIPv6, linkPPP} {
		p := f.compiled(kind, o.Kernel)
		switch {
		case p.err == nil:
			return f, nil
		case !errors.Is(p.err, ErrLink) && !p.none:
			return nil, syntaxOf(expr, p.err) // so it is for all of them
		case first == nil:
			first = p.err
		}
	}
	return nil, syntaxOf(expr, first)
}

// Widened reports whether the filter keeps fragments beside what its expression asks for (Options.Fragments).
func (f *Filter) Widened() bool { return f.widened }

// String is the expression as given.
func (f *Filter) String() string { return f.text }

// Program is the filter for a link type, at most MaxKernel instructions when Options.Kernel is set. It returns Keep or
// 0. The slice is shared: it must not be changed. The error wraps ErrLink when frames of this type cannot be judged,
// ErrNothing when none of them can match, ErrUserSpace when the kernel cannot do it and Match can, and ErrTooLong.
func (f *Filter) Program(link capture.LinkType) ([]xbpf.RawInstruction, error) {
	kind := kindOf(link)
	if kind == linkUnknown {
		if f.root == nil {
			return []xbpf.RawInstruction{{Op: retK, K: Keep}}, nil
		}
		return nil, ErrLink
	}
	p := f.compiled(kind, f.opts.Kernel)
	return p.code, p.err
}

// Match reports whether the filter keeps a packet, whatever its link type, without allocating. As in tcpdump, a packet
// whose captured bytes end before a byte that is tested is not kept, and len is its length on the wire. The error
// wraps ErrLink when frames of this type cannot be judged, or ErrTooLong.
func (f *Filter) Match(p *capture.Packet) (bool, error) {
	if f.root == nil {
		return true, nil
	}
	kind := kindOf(p.Link)
	if kind == linkUnknown {
		return false, ErrLink
	}
	c := f.compiled(kind, false)
	if c.err != nil {
		if c.none {
			return false, nil
		}
		return false, c.err
	}
	return run(c.code, p.Data, p.WireLen) != 0, nil
}

// compiled gives the program for a kind of link, compiling it the first time.
func (f *Filter) compiled(kind linkKind, kernel bool) *program {
	p := &f.files[kind]
	if kernel {
		p = &f.kernel[kind]
	}
	p.once.Do(func() { p.compile(f, kind, kernel) })
	return p
}

// compile is what happens once for each kind of link.
func (p *program) compile(f *Filter, kind linkKind, kernel bool) {
	g := newGenerator(kind, kernel, f.opts.Fragments)
	c := &cond{op: condTrue}
	if f.root != nil {
		c = f.root.gen(g, false)
	}
	if g.err != nil {
		p.err = g.err
		return
	}
	blocks, err := lower(c)
	if err != nil {
		p.err = err
		return
	}
	if shorten(blocks); blocks.entry == blocks.drop {
		p.err, p.none = ErrNothing, true
		return
	}
	p.code = assemble(blocks, g.usesVar)
	if kernel && kind.cooked() {
		p.code, p.err = cook(p.code, kind)
	}
	if limit := limitOf(kernel); p.err == nil && len(p.code) > limit {
		p.code, p.err = nil, tooLong(len(p.code), limit)
	}
}
