package sip

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// examples has a fault for every code: a line that makes it when it stands in an otherwise good message, or, where it
// is no line, words and the text. docs/diagnostics.md is made from it.
func examples() map[DiagCode]struct{ shown, text string } {
	line := func(s string) struct{ shown, text string } {
		return struct{ shown, text string }{"`" + strings.ReplaceAll(s, "|", "\\|") + "`", with(s)}
	}
	lack := func(name, text string) struct{ shown, text string } {
		return struct{ shown, text string }{"no `" + name + "`", text}
	}
	return map[DiagCode]struct{ shown, text string }{
		DiagLineEnd:            {"`Subject: x` and LF", with("Subject: x\n")},
		DiagStartLineBlanks:    line("OPTIONS  sip:bob@b.example SIP/2.0"),
		DiagVersion:            line("OPTIONS sip:bob@b.example SIP/7.0"),
		DiagStatus:             line("SIP/2.0 2000 OK"),
		DiagURIBrackets:        line("OPTIONS <sip:bob@b.example> SIP/2.0"),
		DiagURIBlanks:          line("To: < sip:bob@b.example>"),
		DiagURIHeaders:         line("OPTIONS sip:bob@b.example?Route=x SIP/2.0"),
		DiagURI:                line("OPTIONS bob SIP/2.0"),
		DiagHost:               line("To: <sip:bob@2001:db8::1>"),
		DiagNoColon:            line("Subject x"),
		DiagHeaderName:         line("My Subject: x"),
		DiagHeadOpen:           {"the text ends after a header", strings.TrimSuffix(without("Content-Length"), "\r\nhello")},
		DiagControl:            {"`Subject: a` and a NUL", with("Subject: a\x00")},
		DiagMissingVia:         lack("Via", without("Via")),
		DiagMissingFrom:        lack("From", without("From")),
		DiagMissingTo:          lack("To", without("To")),
		DiagMissingCallID:      lack("Call-ID", without("Call-ID")),
		DiagMissingCSeq:        lack("CSeq", without("CSeq")),
		DiagMissingMaxForwards: lack("Max-Forwards", without("Max-Forwards")),
		DiagMissingContact: {
			"`INVITE` and no `Contact`",
			strings.NewReplacer("OPTIONS", "INVITE", "Contact:", "X:").Replace(plain),
		},
		DiagRepeated:    {"two `Call-ID`", with("Call-ID: c1\r\nCall-ID: c2")},
		DiagVia:         line("Via: a.example;branch=z9hG4bK1"),
		DiagBranch:      line("Via: SIP/2.0/UDP a.example;branch=1"),
		DiagCSeq:        line("CSeq: OPTIONS"),
		DiagCSeqRange:   line("CSeq: 4294967296 OPTIONS"),
		DiagCSeqMethod:  {"`CSeq: 1 INVITE` in an OPTIONS", with("CSeq: 1 INVITE")},
		DiagAddress:     line("To: bob"),
		DiagDisplay:     line("To: Bob, B. <sip:bob@b.example>"),
		DiagQuote:       line("To: \"Bob <sip:bob@b.example>"),
		DiagBracket:     line("To: <sip:bob@b.example"),
		DiagParams:      line("To: <sip:bob@b.example>;;x=y"),
		DiagFromTag:     line("From: <sip:alice@a.example>"),
		DiagToTag:       {"`To: <sip:bob@b.example>` in a 200", with("SIP/2.0 200 OK")},
		DiagNumber:      line("Max-Forwards: 300"),
		DiagLength:      line("Content-Length: -5"),
		DiagLengthShort: {"`Content-Length: 3` and 5 bytes", with("Content-Length: 3")},
		DiagLengthLong:  {"`Content-Length: 9` and 5 bytes", with("Content-Length: 9")},
		DiagDate:        line("Date: Fri, 01 Jan 2010 16:00:00 EST"),
		DiagBodyType:    lack("Content-Type", without("Content-Type")),
		DiagCallID:      line("Call-ID: a b"),
		DiagMore:        {"more than 64 lines without a colon", with(strings.Repeat("x\r\n", 70))},
	}
}

// Every code has an example that makes it, and severity and words of its own.
func TestDiagCodes(t *testing.T) {
	t.Parallel()
	have := examples()
	names, texts := map[string]bool{}, map[string]bool{}
	for _, code := range DiagCodes() {
		name := code.String()
		if names[name] || texts[code.Text()] || name == "" || !strings.HasPrefix(code.Section(), "RFC ") || !strings.HasSuffix(code.Text(), ".") {
			t.Errorf("%d: name %q, section %q, text %q", code, name, code.Section(), code.Text())
		}
		names[name], texts[code.Text()] = true, true
		if s := code.Severity(); s < Note || s > Error {
			t.Errorf("%s: severity %d", name, s)
		}
		example, ok := have[code]
		if !ok {
			t.Errorf("%s: no example", name)
			continue
		}
		var m Message
		if err := Parse([]byte(example.text), &m); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if !strings.Contains(" "+diagNames(&m)+" ", " "+name+" ") {
			t.Errorf("%s: the example gives %q", name, diagNames(&m))
		}
	}
	if got := DiagCode(255); got.String() != "unknown" || got.Severity() != Note || DiagCode(0).String() != "unknown" {
		t.Error("codes that do not exist must have words too")
	}
	if Note.String() != "note" || Warning.String() != "warning" || Error.String() != "error" || Severity(9).String() != "error" {
		t.Error("severities have other names")
	}
}

// docs/diagnostics.md is what the tables say; UPDATE_GOLDEN=1 writes it.
func TestDiagnosticsDocument(t *testing.T) {
	t.Parallel()
	const file, begin, end = "../../docs/diagnostics.md", "<!-- begin sip -->\n", "<!-- end sip -->\n"
	var table strings.Builder
	table.WriteString("| code | severity | rule | meaning | example |\n|---|---|---|---|---|\n")
	have := examples()
	for _, code := range DiagCodes() {
		fmt.Fprintf(&table, "| `%s` | %s | %s | %s | %s |\n", code, code.Severity(), code.Section(), strings.ReplaceAll(code.Text(), "<", "\\<"), have[code].shown)
	}
	doc, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	head, rest, ok := strings.Cut(string(doc), begin)
	old, tail, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		t.Fatalf("%s has no part between %q and %q", file, begin, end)
	}
	if old == table.String() {
		return
	}
	if os.Getenv("UPDATE_GOLDEN") == "" {
		t.Fatalf("%s is not what the code says; UPDATE_GOLDEN=1 go test ./decode/sip writes it", file)
	}
	if err := os.WriteFile(file, []byte(head+begin+table.String()+end+tail), 0o644); err != nil {
		t.Fatal(err)
	}
}
