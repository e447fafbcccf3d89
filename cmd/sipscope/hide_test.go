package main

import (
	"bytes"
	"compress/flate"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"sipscope/capture"
)

// unpackBlocks gives all that a report holds: the page itself, its blocks unpacked, and the captures in them.
func unpackBlocks(t *testing.T, page []byte) (text []byte, captures [][]byte) {
	t.Helper()
	text = bytes.Clone(page)
	for _, m := range regexp.MustCompile(`(?s)<script type="text/plain" id="(?:rows|chunk)-\d+">(.*?)</script>`).FindAllSubmatch(page, -1) {
		raw, err := io.ReadAll(flate.NewReader(bytes.NewReader(base85(t, m[1]))))
		if err != nil {
			t.Fatal(err)
		}
		text = append(text, raw...)
	}
	for _, m := range regexp.MustCompile(`"pcap":"([^"]*)"`).FindAllSubmatch(text, -1) {
		raw, err := base64.StdEncoding.DecodeString(string(m[1]))
		if err != nil {
			t.Fatal(err)
		}
		captures = append(captures, raw)
	}
	return text, captures
}

// base85 is the way back of a report's blocks: five digits are four bytes.
func base85(t *testing.T, s []byte) []byte {
	t.Helper()
	const digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz!#$%()*+,-./:;=?@[]^_{}"
	var b []byte
	for len(s) > 0 {
		n := min(5, len(s))
		v := uint32(0)
		for i := range 5 {
			d := 84
			if i < n {
				if d = strings.IndexByte(digits, s[i]); d < 0 {
					t.Fatalf("digit %q", s[i])
				}
			}
			v = v*85 + uint32(d)
		}
		b = append(b, binary.BigEndian.AppendUint32(nil, v)[:n-1]...)
		s = s[n:]
	}
	return b
}

// originals collects what identifies people and machines from the list of an open report of the same captures.
func originals(t *testing.T, page []byte) map[string]bool {
	t.Helper()
	all := map[string]bool{}
	add := func(s string) {
		if s = strings.ToLower(s); len(s) >= 4 {
			all[s] = true
		}
	}
	text, _ := unpackBlocks(t, page)
	for _, m := range regexp.MustCompile(`"call_id":"((?:[^"\\]|\\.)+)"`).FindAllSubmatch(text, -1) {
		var s string
		if json.Unmarshal([]byte(`"`+string(m[1])+`"`), &s) == nil && !strings.ContainsAny(s, "<>\\\ufffd") {
			add(s)
		}
	}
	for _, pattern := range []string{
		`sips?:([A-Za-z0-9.+_-]+)@`, `@([A-Za-z][A-Za-z0-9.-]+\.[a-z]{2,})\b`, `\b(\d{2,3}\.\d{1,3}\.\d{1,3}\.\d{1,3})\b`,
		`\b([0-9a-f]{1,4}:[0-9a-f:]*::[0-9a-f:]+)\b`, `tag=([A-Za-z0-9.-]+)`, `branch=z9hG4bK([A-Za-z0-9.-]+)`,
		`(?:nonce|cnonce|response|realm|username)=\\"([^"\\]+)\\"`, `"display":"([^"\\]+)"`, `"(?:user_agent|server)":"([^"\\<]+)"`,
	} {
		for _, m := range regexp.MustCompile(pattern).FindAllSubmatch(text, -1) {
			add(string(m[1]))
		}
	}
	for _, keep := range []string{"0.0.0.0", "127.0.0.1", "sipscope", "registrar", "proxy", "presence", "peer"} { // hold (RFC 3264 8.4); words of SIP and of the page
		delete(all, keep)
	}
	return all
}

// A redacted report of every capture of the project holds no original, in its text, its blocks, or its packets; and it
// tells the same story.
func TestRedactedReport(t *testing.T) {
	t.Parallel()
	paths, err := filepath.Glob(pcap("*.pcap*"))
	if err != nil || len(paths) < 50 {
		t.Fatal(len(paths), err)
	}
	dir := t.TempDir()
	open, hidden := filepath.Join(dir, "open.html"), filepath.Join(dir, "hidden.html")
	sipscopeRun(t, append([]string{"report", "-o", open}, paths...)...)
	sipscopeRun(t, append([]string{"report", "-o", hidden, "--redact", "--with-packets"}, paths...)...)
	plain, err := os.ReadFile(open)
	if err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile(hidden)
	if err != nil {
		t.Fatal(err)
	}
	text, files := unpackBlocks(t, page)
	text = withoutScripts(text)
	names := originals(t, plain)
	if len(names) < 100 || len(files) < 60 {
		t.Fatalf("%d originals, %d captures in the report", len(names), len(files))
	}
	lower := bytes.ToLower(text)
	for name := range names {
		if at := findWord(lower, name); at >= 0 {
			t.Errorf("%q is in the redacted report: %q", name, text[max(0, at-60):min(len(text), at+60)])
		}
		for _, file := range files {
			if at := findWord(bytes.ToLower(file), name); at >= 0 {
				t.Errorf("%q is in a packet: %q", name, file[max(0, at-60):min(len(file), at+60)])
			}
		}
	}
	for i, file := range files {
		checkCapture(t, i, file)
	}
	for _, want := range []string{`"state":"completed"`, `"state":"cancelled"`, `"state":"busy"`, "180 Ringing", "PCMU"} {
		if a, b := bytes.Count(withoutScripts(mustText(t, plain)), []byte(want)), bytes.Count(text, []byte(want)); a != b || a == 0 {
			t.Errorf("%s occurs %d times in the open report, %d times in the redacted one", want, a, b)
		}
	}
}

func mustText(t *testing.T, page []byte) []byte {
	t.Helper()
	text, _ := unpackBlocks(t, page)
	return text
}

// withoutScripts takes out the page's own code and words.
func withoutScripts(page []byte) []byte {
	page = regexp.MustCompile(`(?s)<script>.*?</script>|<style>.*?</style>|<script type="application/json" id="words">.*?</script>`).ReplaceAll(page, nil)
	return regexp.MustCompile(`(?s)<script type="text/plain".*?</script>`).ReplaceAll(page, nil)
}

// findWord finds a name that is no part of a longer word.
func findWord(text []byte, name string) int {
	word := func(i int) bool {
		return i >= 0 && i < len(text) && (text[i] >= 'a' && text[i] <= 'z' || text[i] >= '0' && text[i] <= '9')
	}
	for from := 0; ; {
		i := bytes.Index(text[from:], []byte(name))
		if i < 0 {
			return -1
		}
		if i += from; !word(i-1) && !word(i+len(name)) {
			return i
		}
		from = i + 1
	}
}

// checkCapture reads an embedded capture: its packets have right lengths and carry SIP.
func checkCapture(t *testing.T, n int, file []byte) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "call.pcapng")
	if err := os.WriteFile(path, file, 0o600); err != nil {
		t.Fatal(err)
	}
	files, err := capture.Open([]string{path}, capture.Options{})
	if err != nil {
		t.Fatalf("capture %d: %v", n, err)
	}
	defer files.Close()
	packets := 0
	var b capture.Batch
	defer b.Release()
	for {
		if err := files.Next(t.Context(), &b); err != nil {
			break
		}
		for i := range b.Packets {
			if p := &b.Packets[i]; int(p.WireLen) != len(p.Data) || p.Link != capture.LinkEthernet {
				t.Errorf("capture %d: packet of %d bytes, %d on the wire", n, len(p.Data), p.WireLen)
			}
			packets++
		}
	}
	if packets == 0 {
		t.Errorf("capture %d is empty", n)
	}
}
