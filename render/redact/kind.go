package redact

import "strconv"

// Kind says what a name names.
type Kind uint8

// Kinds.
const (
	_          Kind = iota
	User            // the user part of a URI; a telephone number gives a number
	Display         // a display name, without its quotes
	Host            // a host name, or an IP address with or without brackets
	Agent           // a User-Agent or Server value
	CallID          // a Call-ID
	Tag             // a From or To tag
	Branch          // a Via branch
	Method          // a method token; registered ones stay
	Phrase          // a reason phrase; the usual ones stay
	Realm           // of a digest
	Password        // in a URI
	Token           // an opaque id: nonce, entity tag, ICE credentials, boundary
	Text            // any other value
	HeaderName      // the name of a header that is no word
	ParamName       // the name of a parameter or attribute that is not known
	Number          // a long number that is an id: SDP session id, SSRC
	Sequence        // a CSeq number
	address         // an IP address, in the form that netip gives it
	spelling        // another spelling of an address or of a host name
	kinds
)

// stems has what the pseudonyms of a kind look like, "#" being the number; the second one is for captures whose
// originals stand in the first: somebody is called "user".
var stems = [kinds][2]string{ //nolint:gochecknoglobals // read-only table
	User:       {"user#", "u#"},
	Display:    {"Name #", "N #"},
	Host:       {"host#.example.invalid", "h#.invalid"},
	Agent:      {"agent #", "a #"},
	CallID:     {"call#", "c#"},
	Tag:        {"tag#", "t#"},
	Branch:     {"b#", "x#"},
	Method:     {"METHOD#", "M#"},
	Phrase:     {"Reason #", "R #"},
	Realm:      {"realm #", "r #"},
	Password:   {"password#", "p#"},
	Token:      {"token#", "k#"},
	Text:       {"redacted-#", "r-#"},
	HeaderName: {"X-Redacted-#", "X-#"},
	ParamName:  {"param-#", "p-#"},
	Number:     {"", ""},
	Sequence:   {"", ""},
}

// fill puts a number into a stem.
func fill(stem string, n int) string {
	for i := range len(stem) {
		if stem[i] == '#' {
			return stem[:i] + strconv.Itoa(n) + stem[i+1:]
		}
	}
	return stem
}
