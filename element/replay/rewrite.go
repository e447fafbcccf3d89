package replay

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"sipscope/decode/sip"
)

// Rewrite is what the operator wants otherwise than recorded: --set, --user, --domain and --map. The zero value changes
// nothing. Its methods read what flags say; their errors tell in words what was expected, and wrap ErrOptions.
//
// Values may have {field}s, which Input.Values fill in; "{{" and "}}" stand for braces.
type Rewrite struct {
	sets    []set
	users   map[string]template // user part → another
	domains map[string]template // host in lower case → host or host:port
	addrs   map[netip.AddrPort]netip.AddrPort
}

// set is one --set.
type set struct {
	method string // only of these requests; "" of all
	status int    // only of these responses; 0 for requests
	name   string // of the header, as written
	id     sip.HeaderID
	value  template
	remove bool
	always bool // added where the message does not have it
}

// template is text with fields.
type template []templatePart

type templatePart struct {
	text  string
	field string // of Input.Values; "" for text
}

func wrap(sentinel error, format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{sentinel}, args...)...)
}

// parseTemplate reads "text {field} text".
func parseTemplate(s string) (template, error) {
	var t template
	var text strings.Builder
	flush := func() {
		if text.Len() > 0 {
			t = append(t, templatePart{text: text.String()})
			text.Reset()
		}
	}
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case (c == '{' || c == '}') && i+1 < len(s) && s[i+1] == c:
			text.WriteByte(c)
			i++
		case c == '{':
			n := strings.IndexByte(s[i:], '}')
			if n < 2 {
				return nil, wrap(ErrOptions, "%q: want {name}, or {{ for a brace", s)
			}
			flush()
			t = append(t, templatePart{field: s[i+1 : i+n]})
			i += n
		case c == '}':
			return nil, wrap(ErrOptions, "%q: a } without its {; write }} for a brace", s)
		case c < ' ' && c != '\t' || c == 0x7f:
			return nil, wrap(ErrOptions, "%q: a line break or control character", s)
		default:
			text.WriteByte(c)
		}
	}
	flush()
	return t, nil
}

// append appends the text; fields without a value are empty.
func (t template) append(dst []byte, values map[string]string) []byte {
	for i := range t {
		if t[i].field == "" {
			dst = append(dst, t[i].text...)
			continue
		}
		for _, c := range []byte(values[t[i].field]) { // a table may not break out of the line either
			if c >= ' ' && c != 0x7f {
				dst = append(dst, c)
			}
		}
	}
	return dst
}

// plain gives the text of a template without fields.
func (t template) plain() (string, bool) {
	switch {
	case len(t) == 0:
		return "", true
	case len(t) == 1 && t[0].field == "":
		return t[0].text, true
	default:
		return "", false
	}
}

// fields adds the fields that a template has.
func (t template) fields(all map[string]bool) {
	for i := range t {
		if t[i].field != "" {
			all[t[i].field] = true
		}
	}
}

// setAside are headers that the dialog decides.
var setAside = map[sip.HeaderID]string{ //nolint:gochecknoglobals // read-only table
	sip.HeaderVia:           "it says where responses go",
	sip.HeaderCallID:        "the Player makes it",
	sip.HeaderCSeq:          "the Player counts it",
	sip.HeaderContentLength: "it is the length of the body",
	sip.HeaderRecordRoute:   "it belongs to the live proxies",
}

// Set reads a --set: "header.NAME=VALUE" gives a header of all requests that have it another value,
// "METHOD.header.NAME=VALUE" that of requests of a method, "CODE.header.NAME=VALUE" that of responses with a code; the
// last two add the header where it is missing. No VALUE takes the header out.
func (r *Rewrite) Set(s string) error {
	key, value, ok := strings.Cut(s, "=")
	if !ok {
		return wrap(ErrOptions, "--set %q: %s", s, wantSet)
	}
	n, err := parseScope(key)
	if err != nil {
		return fmt.Errorf("--set %q: %w", s, err)
	}
	if !isToken(n.name) {
		return wrap(ErrOptions, "--set %q: %q is no header name", s, n.name)
	}
	n.id = sip.LookupHeader([]byte(n.name))
	if why, not := setAside[n.id]; not {
		return wrap(ErrOptions, "--set %q: %s cannot be set: %s", s, n.id, why)
	}
	if n.value, err = parseTemplate(value); err != nil {
		return fmt.Errorf("--set %q: %w", s, err)
	}
	n.remove = len(n.value) == 0
	r.sets = append(r.sets, n)
	return nil
}

const wantSet = "want header.NAME=VALUE, METHOD.header.NAME=VALUE or CODE.header.NAME=VALUE"

// parseScope reads what stands before the "=" of a --set.
func parseScope(key string) (n set, err error) {
	before, name, scoped := strings.Cut(key, ".header.")
	if !scoped {
		rest, ok := strings.CutPrefix(key, "header.")
		if !ok {
			return n, wrap(ErrOptions, "%s", wantSet)
		}
		return set{name: rest}, nil
	}
	n.name, n.always = name, true
	code, err := strconv.Atoi(before)
	switch {
	case err == nil && (code < 100 || code > 699):
		return n, wrap(ErrOptions, "%d is no response code", code)
	case err == nil:
		n.status = code
	case !isToken(before):
		return n, wrap(ErrOptions, "%q is neither a method nor a code", before)
	default:
		n.method = before
	}
	return n, nil
}

// User reads a --user: "OLD=NEW" replaces the user part of SIP and tel URIs.
func (r *Rewrite) User(s string) error {
	old, t, err := pair("--user", "OLD=NEW, such as 3001=test1", s)
	if err != nil {
		return err
	}
	if r.users == nil {
		r.users = map[string]template{}
	}
	r.users[old] = t
	return nil
}

// Domain reads a --domain: "OLD=NEW" replaces the host of URIs; NEW may have a port.
func (r *Rewrite) Domain(s string) error {
	old, t, err := pair("--domain", "OLD=NEW, such as a.com=lab.example", s)
	if err != nil {
		return err
	}
	if r.domains == nil {
		r.domains = map[string]template{}
	}
	r.domains[strings.ToLower(old)] = t
	return nil
}

func pair(flag, want, s string) (string, template, error) {
	old, text, ok := strings.Cut(s, "=")
	if !ok || old == "" || text == "" {
		return "", nil, wrap(ErrOptions, "%s %q: want %s", flag, s, want)
	}
	if strings.ContainsAny(text, " <>\"@;,?") {
		return "", nil, wrap(ErrOptions, "%s %q: %q cannot be a part of a URI", flag, s, text)
	}
	t, err := parseTemplate(text)
	if err != nil {
		return "", nil, fmt.Errorf("%s %q: %w", flag, s, err)
	}
	return old, t, nil
}

// Map reads a --map: "HOST:PORT=HOST:PORT" replaces a recorded address wherever messages name it. It lets nothing be sent
// there: see Addresses.
func (r *Rewrite) Map(s string) error {
	old, text, _ := strings.Cut(s, "=")
	from, err := netip.ParseAddrPort(old)
	to, err2 := netip.ParseAddrPort(text)
	if err != nil || err2 != nil {
		return wrap(ErrOptions, "--map %q: want ADDRESS:PORT=ADDRESS:PORT, such as 192.0.2.1:5060=10.0.0.5:5080", s)
	}
	if r.addrs == nil {
		r.addrs = map[netip.AddrPort]netip.AddrPort{}
	}
	r.addrs[unmapped(from)] = unmapped(to)
	return nil
}

// Addresses are those that --map names on its right side, for who decides whether they may be sent to.
func (r *Rewrite) Addresses() []netip.AddrPort {
	all := make([]netip.AddrPort, 0, len(r.addrs))
	for _, to := range r.addrs {
		all = append(all, to)
	}
	return all
}

// Fields are the names in braces that rows of a table are to have.
func (r *Rewrite) Fields() map[string]bool {
	all := map[string]bool{}
	for i := range r.sets {
		r.sets[i].value.fields(all)
	}
	for _, t := range r.users {
		t.fields(all)
	}
	for _, t := range r.domains {
		t.fields(all)
	}
	return all
}

func unmapped(a netip.AddrPort) netip.AddrPort {
	return netip.AddrPortFrom(a.Addr().Unmap().WithZone(""), a.Port())
}

// isToken reports whether s is a token (RFC 3261 25.1).
func isToken(s string) bool {
	for i := range len(s) {
		c := s[i]
		switch {
		case c|0x20 >= 'a' && c|0x20 <= 'z', c >= '0' && c <= '9', strings.IndexByte("-.!%*_+`'~", c) >= 0:
		default:
			return false
		}
	}
	return s != ""
}
