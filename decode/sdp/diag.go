package sdp

// Diag is one departure of a description from RFC 8866.
type Diag struct {
	Code     DiagCode
	Off, Len uint32 // bytes, in the description's text
}

// DiagCode says what departs.
type DiagCode uint8

// Codes. docs/diagnostics.md has an example of each.
const (
	_ DiagCode = iota
	DiagLineEnd
	DiagLine
	DiagBlanks
	DiagOrder
	DiagVersion
	DiagOrigin
	DiagConnection
	DiagMedia
	DiagAttribute
	DiagMissingVersion
	DiagMissingOrigin
	DiagMissingName
	DiagMissingTime
	DiagMissingConnection
	DiagMore
	diags
)

type diagText struct{ name, section, text string }

// diagTexts has what is said about each code.
var diagTexts = [diags]diagText{ //nolint:gochecknoglobals // read-only table
	DiagLineEnd:           {"sdp-line-end", "RFC 8866 5", "A line ends in LF alone, not in CR LF."},
	DiagLine:              {"sdp-line", "RFC 8866 5", "A line is not a known letter, = and a value."},
	DiagBlanks:            {"sdp-blanks", "RFC 8866 5", "There are blanks around the = of a line."},
	DiagOrder:             {"sdp-order", "RFC 8866 5", "The lines are out of order."},
	DiagVersion:           {"sdp-version", "RFC 8866 5.1", "The version is not 0."},
	DiagOrigin:            {"sdp-origin", "RFC 8866 5.2", "The o= line does not have its six parts."},
	DiagConnection:        {"sdp-connection", "RFC 8866 5.7", "A c= line is not IN, IP4 or IP6, and an address."},
	DiagMedia:             {"sdp-media", "RFC 8866 5.14", "An m= line is not a type, a port, a protocol and formats."},
	DiagAttribute:         {"sdp-attribute", "RFC 8866 6", "The value of an attribute cannot be read."},
	DiagMissingVersion:    {"sdp-missing-version", "RFC 8866 5.1", "The v= line is missing."},
	DiagMissingOrigin:     {"sdp-missing-origin", "RFC 8866 5.2", "The o= line is missing."},
	DiagMissingName:       {"sdp-missing-name", "RFC 8866 5.3", "The s= line is missing."},
	DiagMissingTime:       {"sdp-missing-time", "RFC 8866 5.9", "The t= line is missing."},
	DiagMissingConnection: {"sdp-missing-connection", "RFC 8866 5.7", "Neither a medium nor the session has a c= line."},
	DiagMore:              {"sdp-more", "RFC 8866 5", "There is more than is read: media, formats or departures."},
}

// String is the code's name, as in docs/diagnostics.md.
func (c DiagCode) String() string { return c.entry().name }

// Section is the rule that the description departs from, e.g. "RFC 8866 5.7".
func (c DiagCode) Section() string { return c.entry().section }

// Text says in one sentence what is wrong.
func (c DiagCode) Text() string { return c.entry().text }

func (c DiagCode) entry() diagText {
	if c == 0 || c >= diags {
		return diagText{name: "unknown", text: "Unknown."}
	}
	return diagTexts[c]
}

// DiagCodes lists all codes.
func DiagCodes() []DiagCode {
	all := make([]DiagCode, 0, diags-1)
	for c := DiagCode(1); c < diags; c++ {
		all = append(all, c)
	}
	return all
}
