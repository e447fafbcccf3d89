package diff

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"sipscope/correlate/compare"
	"sipscope/decode/sdp"
	"sipscope/decode/sip"
)

// sessions compares the session descriptions of two messages in words.
func (t *tale) sessions(ma, mb *sip.Message, list []compare.Line) {
	textA, okA := ma.SDP()
	textB, okB := mb.SDP()
	switch {
	case !okA && !okB:
		return
	case !okB:
		t.add(Differs, "SDP", summary(textA), "", "SDP is missing")
		return
	case !okA:
		t.add(Differs, "SDP", "", summary(textB), "SDP is extra")
		return
	}
	a, _ := sdp.Parse(textA)
	b, _ := sdp.Parse(textB)
	loneA, loneB := t.media(&a, &b)
	t.attributes(list, loneA, loneB)
	if slices.ContainsFunc(t.list, func(d Difference) bool { return strings.HasPrefix(d.Where, "SDP") }) {
		return
	}
	for i := range list { // what no rule names
		if n := &list[i]; n.Section == compare.SDP && n.Meaning && !t.otherFamily(n) {
			x, y := compare.Text(n.A), compare.Text(n.B)
			t.add(Differs, "SDP", x, y, "SDP "+clip(x+y))
			return
		}
	}
}

func summary(text []byte) string {
	s, _ := sdp.Parse(text)
	return s.Summary()
}

// media pairs the media of two descriptions by type, in order (RFC 3264 8), and gives those that only one side has.
func (t *tale) media(a, b *sdp.Session) (loneA, loneB map[int]bool) {
	loneA, loneB = make(map[int]bool), make(map[int]bool)
	cells := aligner{cells: maxCells / 64}
	i, j := 0, 0
	pairs := cells.align(len(a.Media), len(b.Media), gapCost, func(i, j int) int32 {
		if string(a.Media[i].Type) != string(b.Media[j].Type) {
			return never
		}
		return 0
	})
	for _, p := range append(pairs, pair{len(a.Media), len(b.Media)}) {
		for ; i < p.a; i++ {
			loneA[i] = true
			t.add(Differs, "SDP m"+strconv.Itoa(i), string(a.Media[i].Type), "", "medium "+clip(string(a.Media[i].Type))+" is missing")
		}
		for ; j < p.b; j++ {
			loneB[j] = true
			t.add(Differs, "SDP m"+strconv.Itoa(j), "", string(b.Media[j].Type), "medium "+clip(string(b.Media[j].Type))+" is extra")
		}
		if i < len(a.Media) {
			m := medium{tale: t, where: "SDP m" + strconv.Itoa(i)}
			m.compare(&a.Media[i], &b.Media[j])
			i, j = i+1, j+1
		}
	}
	return loneA, loneB
}

// medium compares two media.
type medium struct {
	*tale
	where string
}

func (m *medium) compare(a, b *sdp.Media) {
	name := clip(string(b.Type))
	switch {
	case (a.Port == 0) == (b.Port == 0):
	case b.Port == 0:
		m.add(Differs, m.where, strconv.Itoa(int(a.Port)), "0", "medium "+name+" is rejected (port 0)")
	default:
		m.add(Differs, m.where, "0", strconv.Itoa(int(b.Port)), "medium "+name+" is not rejected, was (port 0)")
	}
	if a.Ports != b.Ports && a.Port != 0 && b.Port != 0 {
		m.change("number of ports", strconv.Itoa(int(a.Ports)), strconv.Itoa(int(b.Ports)))
	}
	m.change("transport", string(a.Proto), string(b.Proto))
	m.codecs(a, b)
	m.change("direction", a.Direction.String(), b.Direction.String())
	m.change("ptime", optional(a.Ptime), optional(b.Ptime))
	m.change("maxptime", optional(a.MaxPtime), optional(b.MaxPtime))
}

func optional(n uint16) string {
	if n == 0 {
		return ""
	}
	return strconv.Itoa(int(n))
}

// change tells of a value that differs, is missing or extra.
func (m *medium) change(what, a, b string) {
	switch {
	case strings.EqualFold(a, b):
	case b == "":
		m.add(Differs, m.where, a, b, what+" is missing, was "+clip(a))
	case a == "":
		m.add(Differs, m.where, a, b, what+" "+clip(b)+" is extra")
	default:
		m.add(Differs, m.where, a, b, what+" "+clip(b)+", was "+clip(a))
	}
}

// format is a format of a medium by its name.
type format struct {
	name  string // "PCMU"; "opus/48000/2" where name alone is not enough
	key   string
	at    *sdp.Format
	twins int // formats of that key before this one
}

// formats lists the formats of a medium. Clock rate and channels are part of the name unless they are the usual ones.
func formats(m *sdp.Media) []format {
	list := make([]format, 0, len(m.Formats))
	seen := make(map[string]int)
	for i := range m.Formats {
		f := &m.Formats[i]
		name, clock, channels := f.Encoding()
		if name == "" {
			name = "payload type " + string(f.Text)
		}
		one := format{name: name, at: f}
		if clock != 0 && clock != 8000 || channels > 1 {
			one.name += "/" + strconv.FormatUint(uint64(clock), 10)
		}
		if channels > 1 {
			one.name += "/" + strconv.Itoa(int(channels))
		}
		one.key = strings.ToLower(one.name)
		one.twins = seen[one.key]
		seen[one.key]++
		list = append(list, one)
	}
	return list
}

// codecs compares the formats by name, whatever their numbers.
func (m *medium) codecs(a, b *sdp.Media) {
	as, bs := formats(a), formats(b)
	type key struct {
		name  string
		twins int
	}
	of := make(map[key]int, len(bs))
	for j := range bs {
		of[key{bs[j].key, bs[j].twins}] = j
	}
	var common []pair
	var gone, came []format
	there := make([]bool, len(bs))
	for i := range as {
		j, ok := of[key{as[i].key, as[i].twins}]
		if !ok {
			gone = append(gone, as[i])
			continue
		}
		there[j] = true
		common = append(common, pair{i, j})
	}
	for j := range bs {
		if !there[j] {
			came = append(came, bs[j])
		}
	}
	m.exchanged(as, bs, gone, came)
	if !slices.IsSortedFunc(common, func(x, y pair) int { return x.b - y.b }) {
		m.add(Differs, m.where, names(as), names(bs), "codec order "+names(bs)+", was "+names(as))
	}
	for _, p := range common {
		m.format(&as[p.a], &bs[p.b])
	}
}

// exchanged tells of the formats that only one side has.
func (m *medium) exchanged(as, bs, gone, came []format) {
	if len(gone) > 0 && len(came) > 0 {
		m.add(Differs, m.where, names(as), names(bs), "codec "+names(came)+" instead of "+names(gone))
		return
	}
	for i := range gone {
		m.add(Differs, m.where, names(as), names(bs), "codec "+clip(gone[i].name)+" is missing")
	}
	for i := range came {
		m.add(Differs, m.where, names(as), names(bs), "codec "+clip(came[i].name)+" is extra")
	}
}

// format compares two formats of one name.
func (m *medium) format(a, b *format) {
	if x, y := parameters(a.at.Params), parameters(b.at.Params); x != y {
		switch {
		case y == "":
			m.add(Differs, m.where, x, y, "fmtp of "+clip(b.name)+" is missing, was "+clip(x))
		case x == "":
			m.add(Differs, m.where, x, y, "fmtp of "+clip(b.name)+" is extra: "+clip(y))
		default:
			m.add(Differs, m.where, x, y, "fmtp of "+clip(b.name)+" "+clip(y)+", was "+clip(x))
		}
	}
	if x, y := a.at.PT, b.at.PT; x != y {
		m.add(Tolerated, m.where, strconv.Itoa(int(x)), strconv.Itoa(int(y)),
			"payload type of "+clip(b.name)+" "+strconv.Itoa(int(y))+", was "+strconv.Itoa(int(x)))
	}
}

// parameters writes an fmtp without what order and blanks make of it. apt, which names a payload type, is left out.
func parameters(b []byte) string {
	list := strings.Split(string(b), ";")
	for i, p := range list {
		name, value, _ := strings.Cut(strings.TrimSpace(p), "=")
		list[i] = strings.ToLower(strings.TrimSpace(name))
		if list[i] == "apt" {
			list[i] = ""
		} else if value != "" {
			list[i] += "=" + strings.TrimSpace(value)
		}
	}
	slices.Sort(list)
	return strings.TrimLeft(strings.Join(list, ";"), ";")
}

// names lists codecs for people, at most maxNamed.
func names(list []format) string {
	var out []string
	for i := range list {
		if i == maxNamed {
			out = append(out, "...")
			break
		}
		out = append(out, list[i].name)
	}
	return clip(strings.Join(out, ", "))
}

// attributes tells of the lines of SDP that media did not compare.
func (t *tale) attributes(list []compare.Line, loneA, loneB map[int]bool) {
	numberA, numberB := -1, -1 // the medium that the lines belong to, of each side
	for i := range list {
		n := &list[i]
		if n.Section != compare.SDP || n.Name == "" {
			continue
		}
		if n.Name[0] == 'm' {
			numberA += b2i(n.NoA > 0)
			numberB += b2i(n.NoB > 0)
		}
		if !n.Meaning || n.NoA == 0 && loneB[numberB] || n.NoB == 0 && loneA[numberA] {
			continue
		}
		where := "SDP"
		if k := n.Name[1:]; k != "" {
			where = "SDP m" + k
		}
		t.attribute(n, where)
	}
}

func (t *tale) attribute(n *compare.Line, where string) {
	a, b := compare.Text(n.A), compare.Text(n.B)
	line := a
	if n.NoA == 0 {
		line = b
	}
	v := t.weight(n, line)
	switch {
	case v == Same:
	case n.Name[0] == 'c' && n.NoA > 0 && n.NoB > 0 && (!family(marked(n.A)) || !family(marked(n.B))):
		t.add(v, where, a, b, "media address "+clip(lastWord(b))+", was "+clip(lastWord(a)))
	case n.NoB == 0:
		t.add(v, where, a, "", clip(a)+" is missing")
	case n.NoA == 0:
		t.add(v, where, "", b, clip(b)+" is extra")
	default:
		t.add(v, where, a, b, clip(b)+", was "+clip(a))
	}
}

// weight is the verdict on a line of SDP that differs; Same when it is told of elsewhere, or not at all.
func (t *tale) weight(n *compare.Line, line string) Verdict {
	switch n.Name[0] {
	case 'm':
		return Same
	case 's', 'i', 'u', 'e', 'p', 'o':
		return Tolerated
	case 'c':
		if t.otherFamily(n) {
			return Same
		}
	case 'a':
		return attributeWeight(line)
	default:
	}
	return Differs
}

// attributeWeight is weight of "a=name" or "a=name:value".
func attributeWeight(line string) Verdict {
	name, _, _ := strings.Cut(strings.TrimPrefix(line, "a="), ":")
	switch strings.TrimSpace(name) {
	case "rtpmap", "fmtp", "ptime", "maxptime", "sendrecv", "sendonly", "recvonly", "inactive":
		return Same // the formats and the medium have them
	case "candidate", "remote-candidates", "end-of-candidates", "ssrc", "ssrc-group", "rtcp-fb":
		return Tolerated
	default:
		return Differs
	}
}

// otherFamily reports whether nothing differs but the version of IP: the participants of a replay correspond, at addresses of
// another one.
func (t *tale) otherFamily(n *compare.Line) bool {
	return t.w.rules.Replayed && family(marked(n.A)) && family(marked(n.B)) && fits(compare.Text(n.B))
}

// fits reports whether a line that ends in "IP4 192.0.2.1" names the version that the address is of.
func fits(line string) bool {
	f := strings.Fields(line)
	if len(f) < 2 {
		return false
	}
	host, _, _ := strings.Cut(f[len(f)-1], "/")
	a, err := netip.ParseAddr(host)
	return err == nil && (f[len(f)-2] == "IP4") == a.Is4()
}

// family reports whether a word names a version of IP.
func family(t string) bool { return t == "IP4" || t == "IP6" }

func lastWord(t string) string { return t[strings.LastIndexByte(t, ' ')+1:] }
