package bpf

import (
	"errors"
	"slices"
	"testing"

	xbpf "golang.org/x/net/bpf"

	"sipscope/capture"
)

// machine is x/net's interpreter of a program, or nil when it does not know what the program does: negation, the
// kernel's metadata.
func machine(tb testing.TB, code []insn) *xbpf.VM {
	tb.Helper()
	list, ok := xbpf.Disassemble(code)
	if !ok {
		tb.Fatalf("not all instructions are known:\n%s", listing(code))
	}
	for _, in := range list {
		switch in := in.(type) {
		case xbpf.NegateA:
			return nil
		case xbpf.LoadExtension:
			if in.Num != xbpf.ExtLen {
				return nil
			}
		}
	}
	vm, err := xbpf.NewVM(list)
	if err != nil {
		tb.Fatalf("%v:\n%s", err, listing(code))
	}
	return vm
}

// sameAsMachine compares Match with x/net's interpreter.
func sameAsMachine(tb testing.TB, f *Filter, link capture.LinkType, packets []capture.Packet) {
	tb.Helper()
	code, err := f.Program(link)
	if err != nil {
		return
	}
	vm := machine(tb, code)
	if vm == nil {
		return
	}
	for i := range packets {
		p := packets[i]
		p.Link, p.WireLen = link, uint32(len(p.Data)) // x/net knows no other length
		want, err := vm.Run(p.Data)
		if err != nil {
			tb.Fatal(err)
		}
		if got, err := f.Match(&p); err != nil || got != (want != 0) {
			tb.Fatalf("%q on %v: %v, %v; x/net gives %d for %x\n%s", f, kindOf(link), got, err, want, p.Data, listing(code))
		}
	}
}

// TestMachine compares the interpreter with x/net's, for all filters and link types.
func TestMachine(t *testing.T) {
	t.Parallel()
	packets := map[capture.LinkType][]capture.Packet{}
	for _, link := range links {
		packets[link] = every(framesOf(link), 7)
	}
	compared := 0
	for _, e := range table(t) {
		if e.refused || e.ours {
			continue
		}
		f := mustParse(t, e.expr, Options{Fragments: compared%2 == 0})
		for _, link := range links {
			sameAsMachine(t, f, link, packets[link])
			compared++
		}
	}
	f := mustParse(t, long(500), Options{})
	sameAsMachine(t, f, capture.LinkEthernet, packets[capture.LinkEthernet])
	if compared < 3600 {
		t.Errorf("only %d comparisons", compared)
	}
}

// every gives each nth packet.
func every(packets []capture.Packet, n int) []capture.Packet {
	var out []capture.Packet
	for i := 0; i < len(packets); i += n {
		out = append(out, packets[i])
	}
	return out
}

// TestOperations: what only the interpreter itself can be asked.
func TestOperations(t *testing.T) {
	t.Parallel()
	two := func(op uint16, a, b uint32) []insn {
		return []insn{
			{Op: ldImm, K: b},
			{Op: tax},
			{Op: ldImm, K: a},
			{Op: op | srcX},
			{Op: jeq, K: 0, Jt: 1},
			{Op: retK, K: 1},
			{Op: retK, K: 0},
		}
	}
	for _, row := range []struct {
		name string
		code []insn
		want uint32
	}{
		{"division by zero drops", two(aluDiv, 5, 0), 0},
		{"remainder by zero drops", two(aluMod, 5, 0), 0},
		{"division", two(aluDiv, 5, 2), 1},
		{"a shift by 32 leaves nothing", two(aluLsh, 5, 32), 0},
		{"a shift by 31", two(aluLsh, 1, 31), 1},
		{"a right shift by 33", two(aluRsh, 5, 33), 0},
		{"wraps", two(aluAdd, 0xffffffff, 1), 0},
		{"negation", []insn{
			{Op: ldImm, K: 3},
			{Op: aluNeg},
			{Op: aluAdd, K: 3},
			{Op: jeq, Jt: 1},
			{Op: retK, K: 1},
			{Op: retK},
		}, 0},
		{"beyond the end", []insn{{Op: ldAbsW, K: 1}, {Op: retK, K: 1}}, 0},
		{"at the end", []insn{{Op: ldAbsW, K: 0}, {Op: retK, K: 1}}, 1},
		{"far beyond the end", []insn{{Op: ldAbsB, K: 0xffffffff}, {Op: retK, K: 1}}, 0},
		{"the sum does not wrap", []insn{{Op: ldImm, K: 0xffffffff}, {Op: tax}, {Op: ldIndB, K: 1}, {Op: retK, K: 1}}, 0},
		{"header length beyond the end", []insn{{Op: ldxMSH, K: 4}, {Op: retK, K: 1}}, 0},
		{"no end", []insn{{Op: ldImm}}, 0},
		{"unknown", []insn{{Op: 0xffff}, {Op: retK, K: 1}}, 0},
	} {
		if got := run(row.code, []byte{1, 2, 3, 4}, 4); got != row.want {
			t.Errorf("%s: %d", row.name, got)
		}
	}
}

// meta is what the kernel knows of a packet beside its bytes.
type meta map[uint32]uint32

// kernelRun runs a program as the kernel does: loads of metadata become constants.
func kernelRun(code []insn, data []byte, wireLen int, m meta) bool {
	code = slices.Clone(code)
	for i, in := range code {
		if loadsPacket(in) && in.K >= ancillary {
			code[i] = insn{Op: ldImm, K: m[in.K]}
		}
	}
	return run(code, data, uint32(wireLen)) != 0
}

// TestKernelVLAN: with the outermost tag taken off, the kernel keeps what Match keeps of the frame with the tag in it,
// and the same when the tag was left in.
func TestKernelVLAN(t *testing.T) {
	t.Parallel()
	packets := framesOf(capture.LinkEthernet)
	tags := 0
	for _, expr := range []string{
		"vlan", "vlan 5", "vlan 100", "vlan 5 and port 5060", "vlan and udp", "vlan and not udp", "vlan and vlan 5",
		"vlan 100 and vlan 5 and udp port 5060", "vlan and vlan and vlan", "vlan 5 and mpls 100 and udp", "vlan and pppoes",
		"vlan 5 and pppoes and port 5060", "vlan and ip[9] = 17", "vlan and udp[0:2] = 5060", "vlan and udp[ip[0] & 15] = 1",
		"vlan and ip[ip[0] & 15] = 10", "vlan and portrange 5060-5070", "vlan and host 10.0.0.1",
		"vlan and ip6 host 2001:db8::1",
		"vlan and len > 100", "vlan and less 100", "vlan and pppoes and link[0:2] = 0x21", "vlan and stp", "vlan 5 or udp",
		"not vlan 5", "vlan and icmp6[0] > 100", "vlan and tcp[13] & 2 != 0 and greater 60", "not (vlan and port 5060)",
		"vlan and pppoes and link[ip[0] & 1] = 0", "vlan and arp host 10.0.0.1", "vlan and (port 5060 or portrange 1-100)",
	} {
		plain, kernel := mustParse(t, expr, Options{}), mustParse(t, expr, Options{Kernel: true, Fragments: false})
		code, err := kernel.Program(capture.LinkEthernet)
		if err != nil {
			t.Errorf("%q: %v", expr, err)
			continue
		}
		for i := range packets {
			p := &packets[i]
			want, _ := plain.Match(p)
			if same, _ := kernel.Match(p); same != want {
				t.Fatalf("%q: Match depends on Kernel", expr)
			}
			if got := kernelRun(code, p.Data, int(p.WireLen), meta{}); got != want {
				t.Fatalf("%q: tag in the frame: kernel %v, Match %v\n%x", expr, got, want, p.Data)
			}
			if len(p.Data) < 18 || !slices.Contains([]int{typeVLAN, typeQinQ, typeQinQOld}, int(p.Data[12])<<8|int(p.Data[13])) {
				continue
			}
			tags++
			m := meta{ancVLANTaken: 1, ancVLANTag: uint32(p.Data[14])<<8 | uint32(p.Data[15])}
			taken := cat(p.Data[:12], p.Data[16:])
			if got := kernelRun(code, taken, int(p.WireLen)-4, m); got != want {
				t.Fatalf("%q: tag taken off: kernel %v, Match %v\n%x\n%s", expr, got, want, p.Data, listing(code))
			}
		}
	}
	if tags < 1000 {
		t.Errorf("only %d tags", tags)
	}
}

// TestKernelCooked: on a cooked socket, which gives the network layer only, the kernel keeps what Match keeps of the
// frame with its cooked header.
func TestKernelCooked(t *testing.T) {
	t.Parallel()
	programs, elsewhere := 0, 0
	for _, link := range []capture.LinkType{capture.LinkSLL, capture.LinkSLL2} {
		packets := every(framesOf(link), 3)
		for _, e := range table(t) {
			if e.refused || e.ours {
				continue
			}
			f, err := Parse(e.expr, Options{Kernel: true})
			if err != nil {
				t.Fatal(err)
			}
			code, err := f.Program(link)
			if err != nil {
				elsewhere++
				continue
			}
			programs++
			for i := range packets {
				p := &packets[i]
				h := int(cookedHeader(kindOf(link)))
				if len(p.Data) < h {
					continue
				}
				want, err := f.Match(p)
				if err != nil {
					continue // ifindex in cooked v1
				}
				if got := kernelRun(code, p.Data[h:], int(p.WireLen)-h, cookedMeta(link, p.Data)); got != want {
					t.Fatalf("%q on %v: kernel %v, Match %v\n%x\n%s", e.expr, kindOf(link), got, want, p.Data, listing(code))
				}
			}
		}
	}
	if programs < 1000 || elsewhere == 0 {
		t.Errorf("%d programs, %d for user space", programs, elsewhere)
	}
}

// cookedMeta is what the kernel knows when a cooked header says so.
func cookedMeta(link capture.LinkType, d []byte) meta {
	half := func(at int) uint32 { return uint32(d[at])<<8 | uint32(d[at+1]) }
	if link == capture.LinkSLL {
		return meta{ancPktType: half(0), ancHatType: half(2), ancProtocol: half(14)}
	}
	return meta{ancProtocol: half(0), ancIfIndex: half(4)<<16 | half(6), ancHatType: half(8), ancPktType: uint32(d[10])}
}

// FuzzParse: no panic; programs pass x/net's checks; Match is what x/net's interpreter says; jumps stay inside.
func FuzzParse(f *testing.F) {
	for _, e := range table(f) {
		f.Add(e.expr, []byte("\x02\x00\x00\x00\x00\x02\x02\x00\x00\x00\x00\x01\x08\x00\x45\x00\x00\x1c"), uint8(e.line))
	}
	f.Fuzz(func(t *testing.T, expr string, data []byte, choice uint8) {
		o := Options{Fragments: choice&1 != 0, Kernel: choice&2 != 0}
		filter, err := Parse(expr, o)
		if err != nil {
			e, ok := errors.AsType[*SyntaxError](err)
			if !ok || e.Offset < 0 || e.Offset > len(expr) || e.Reason == "" {
				t.Fatalf("%q: %v", expr, err)
			}
			return
		}
		if filter.String() != expr {
			t.Fatal("the expression has changed")
		}
		packets := []capture.Packet{{Data: data}, {Data: data[:len(data)/2]}}
		for _, link := range links {
			if code, err := filter.Program(link); err == nil {
				checkProgram(t, code, o.Kernel)
				if !o.Kernel {
					sameAsMachine(t, filter, link, packets)
				}
			}
		}
	})
}

// checkProgram checks what every machine asks of a program.
func checkProgram(t *testing.T, code []insn, kernel bool) {
	t.Helper()
	if len(code) == 0 || kernel && len(code) > MaxKernel || len(code) > maxUserSpace {
		t.Fatalf("%d instructions", len(code))
	}
	if code[len(code)-1].Op != retK {
		t.Fatal("does not end with a return")
	}
	for i, in := range code {
		left := len(code) - i - 1
		switch in.Op {
		case jeq, jgt, jge, jset, jeq | srcX, jgt | srcX, jge | srcX:
			if int(in.Jt) >= left || int(in.Jf) >= left {
				t.Fatalf("instruction %d jumps out", i)
			}
		case ja:
			if int(in.K) >= left {
				t.Fatalf("instruction %d jumps out", i)
			}
		case aluDiv, aluMod:
			if in.K == 0 {
				t.Fatalf("instruction %d divides by zero", i)
			}
		case aluLsh, aluRsh:
			if in.K > 31 {
				t.Fatalf("instruction %d shifts too far", i)
			}
		case st, ldMem, ldxMem:
			if in.K > 15 {
				t.Fatalf("instruction %d uses cell %d", i, in.K)
			}
		}
	}
}
