package sdp

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// examples has a fault for every code: a line that makes it in place of the good one, or words and the text.
func examples() map[DiagCode]struct{ shown, text string } {
	line := func(s string) struct{ shown, text string } {
		var out strings.Builder
		for old := range strings.SplitAfterSeq(plain, "\r\n") {
			if old != "" && old[0] == s[0] && old[0] != 'a' {
				old = s + "\r\n"
			}
			out.WriteString(old)
		}
		if s[0] == 'a' {
			out.WriteString(s + "\r\n")
		}
		return struct{ shown, text string }{"`" + s + "`", out.String()}
	}
	lack := func(letter string) struct{ shown, text string } {
		var out strings.Builder
		for old := range strings.SplitAfterSeq(plain, "\r\n") {
			if !strings.HasPrefix(old, letter+"=") {
				out.WriteString(old)
			}
		}
		return struct{ shown, text string }{"no `" + letter + "=`", out.String()}
	}
	return map[DiagCode]struct{ shown, text string }{
		DiagLineEnd:           {"`s=-` and LF", strings.Replace(plain, "s=-\r\n", "s=-\n", 1)},
		DiagLine:              {"`X-line`", plain + "X-line\r\n"},
		DiagBlanks:            line("m =audio 49170 RTP/AVP 0"),
		DiagOrder:             {"`t=` before `s=`", "v=0\r\no=- 1 1 IN IP4 a\r\nt=0 0\r\ns=-\r\n"},
		DiagVersion:           line("v=1"),
		DiagOrigin:            line("o=alice 1 1"),
		DiagConnection:        line("c=192.0.2.1"),
		DiagMedia:             line("m=audio RTP/AVP 0"),
		DiagAttribute:         line("a=ptime:soon"),
		DiagMissingVersion:    lack("v"),
		DiagMissingOrigin:     lack("o"),
		DiagMissingName:       lack("s"),
		DiagMissingTime:       lack("t"),
		DiagMissingConnection: lack("c"),
		DiagMore:              {"more than 64 media", plain + strings.Repeat("m=audio 1 RTP/AVP 0\r\n", 64)},
	}
}

func TestDiagCodes(t *testing.T) {
	t.Parallel()
	have := examples()
	names, texts := map[string]bool{}, map[string]bool{}
	for _, code := range DiagCodes() {
		name := code.String()
		if names[name] || texts[code.Text()] || !strings.HasPrefix(name, "sdp-") || !strings.HasPrefix(code.Section(), "RFC ") || !strings.HasSuffix(code.Text(), ".") {
			t.Errorf("%d: name %q, section %q, text %q", code, name, code.Section(), code.Text())
		}
		names[name], texts[code.Text()] = true, true
		s, _ := Parse([]byte(have[code].text))
		if !strings.Contains(" "+diagNames(&s)+" ", " "+strings.TrimPrefix(name, "sdp-")+" ") {
			t.Errorf("%s: the example gives %q", name, diagNames(&s))
		}
	}
	if DiagCode(0).String() != "unknown" || DiagCode(255).String() != "unknown" {
		t.Error("codes that do not exist must have words too")
	}
}

// docs/diagnostics.md is what the tables say; UPDATE_GOLDEN=1 writes it.
func TestDiagnosticsDocument(t *testing.T) {
	t.Parallel()
	const file, begin, end = "../../docs/diagnostics.md", "<!-- begin sdp -->\n", "<!-- end sdp -->\n"
	var table strings.Builder
	table.WriteString("| code | rule | meaning | example |\n|---|---|---|---|\n")
	have := examples()
	for _, code := range DiagCodes() {
		fmt.Fprintf(&table, "| `%s` | %s | %s | %s |\n", code, code.Section(), code.Text(), have[code].shown)
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
		t.Fatalf("%s is not what the code says; UPDATE_GOLDEN=1 go test ./decode/sdp writes it", file)
	}
	if err := os.WriteFile(file, []byte(head+begin+table.String()+end+tail), 0o644); err != nil {
		t.Fatal(err)
	}
}
