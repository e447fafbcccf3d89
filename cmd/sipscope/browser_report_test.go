package main

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/chromedp/chromedp/kb"
)

// The report of the call through two proxies, in a browser that can reach nothing.
func TestBrowserReport(t *testing.T) {
	t.Parallel()
	b := newBrowser(t)
	out := filepath.Join(t.TempDir(), "report.html")
	sipscopeRun(t, "report", pcap("two-proxies.pcap"), "-o", out, "--with-packets", "--title", "Two proxies")
	b.open(fileURL(out), 1280, 800)
	if got := b.text("h1"); got != "Two proxies" {
		t.Errorf("title %q", got)
	}
	b.until(`document.querySelectorAll('.canvas.drawn canvas').length > 2`)
	b.shot("report-overview-1280")

	b.click(`nav a[data-view="calls"]`)
	b.until(`document.querySelectorAll('table.calls tbody tr[data-num]').length === 1`)
	b.click(`table.calls tr[data-num="1"]`)
	b.until(`document.querySelectorAll('.ladderbody .row[data-msgs]').length === 14`)
	b.shot("report-ladder-1280")
	// the seventh arrow is the first 180
	b.js(`document.querySelectorAll('.ladderbody .row[data-msgs]')[5].dispatchEvent(new MouseEvent('click', {bubbles: true}))`)
	b.until(`document.querySelector('.panel h3')?.textContent.startsWith('180 Ringing')`)
	raw := b.text(".messagetext pre")
	for _, want := range []string{"SIP/2.0 180 Ringing", "Call-ID: 2xTb9vxSit55XU7p8@10.0.1.10", "CSeq: "} {
		if !strings.Contains(raw, want) {
			t.Errorf("the message of the arrow lacks %q: %s", want, raw)
		}
	}
	if n := eval[int](b, `document.querySelectorAll('.ladderbody .chosen').length`); n != 1 {
		t.Errorf("%d arrows are marked as chosen", n)
	}
	b.shot("report-message-1280")
	for tab, want := range map[string]string{"tree": "Call-ID", "diags": "No departure"} {
		b.click(`.tabs [data-tab="` + tab + `"]`)
		if got := b.text(".messagetext"); !strings.Contains(got, want) {
			t.Errorf("tab %s shows %q, want %q in it", tab, got, want)
		}
	}
	// the pointer over the INVITE of the first hop lights up its transaction: INVITE, 100, 180, 200
	b.js(`document.querySelectorAll('.ladderbody .row[data-msgs]')[0].dispatchEvent(new MouseEvent('mouseover', {bubbles: true}))`)
	if n := eval[int](b, `document.querySelectorAll('.ladderbody .same-txn').length`); n != 4 {
		t.Errorf("%d arrows light up as the transaction, want 4", n)
	}
	// what "Copy as text ladder" copies is what sipscope flow prints
	ladder := eval[string](b, `S.unpack('chunk-0').then((docs) => S.lengthen(docs[0].ladder))`)
	for _, want := range []string{"│◀──── 180 Ringing ──────│", "ended by joe after 3.5 s of talk", "4 transactions on 4 hops"} {
		if !strings.Contains(ladder, want) {
			t.Errorf("the text ladder lacks %q:\n%s", want, ladder)
		}
	}
	keyboard(b)

	b.open(fileURL(out), 390, 844)
	b.shot("report-overview-390")
	b.click(`nav a[data-view="calls"]`)
	b.until(`document.querySelectorAll('table.calls tbody tr[data-num]').length === 1`)
	if wide := eval[int](b, `document.documentElement.scrollWidth`); wide > 390 {
		t.Errorf("the page is %d pixels wide on a screen of 390", wide)
	}
	b.click(`table.calls tr[data-num="1"]`)
	b.until(`document.querySelectorAll('.ladderbody .row[data-msgs]').length === 14`)
	b.shot("report-ladder-390")
	if wide := eval[int](b, `document.documentElement.scrollWidth`); wide > 390 {
		t.Errorf("the call is %d pixels wide on a screen of 390", wide)
	}
	b.quiet(fileURL(out))
}

// keyboard goes through the ladder and back to the list without a mouse.
func keyboard(b *browser) {
	b.t.Helper()
	b.js(`document.querySelectorAll('.ladderbody .row[data-msgs]')[0].focus()`)
	b.key(kb.ArrowDown)
	b.key(kb.ArrowDown)
	b.key(kb.Enter)
	b.until(`document.querySelector('.panel h3')?.textContent === 'INVITE'`)
	b.key(kb.Escape)
	b.until(`!document.querySelector('.panel h3')`)
	b.key(kb.Escape)
	b.until(`!document.getElementById('calls').hidden`)
	b.key("/")
	b.until(`document.activeElement.name === 'text'`)
}

// A report of 300 calls of all kinds: sorted, searched, filtered.
func TestBrowserReportMixed(t *testing.T) {
	t.Parallel()
	b := newBrowser(t)
	out := filepath.Join(t.TempDir(), "mixed.html")
	sipscopeRun(t, "report", writeFlow(t, "mixed.flow", mixedFlow(300)), "-o", out)
	b.open(fileURL(out), 1280, 800)
	b.until(`document.querySelectorAll('.canvas.drawn canvas').length > 3`)
	b.shot("mixed-overview-1280")
	b.click(`nav a[data-view="calls"]`)
	count := func(want string) {
		t.Helper()
		b.until(`document.querySelector('.count').textContent === '` + want + `'`)
	}
	count("300 of 300 calls")
	b.shot("mixed-list-1280")
	first := func() string {
		return eval[string](b, `document.querySelector('table.calls tr[data-num]').dataset.num`)
	}
	if got := first(); got != "1" {
		t.Errorf("the list begins with call %s", got)
	}
	b.click(`th[data-sort="duration"] button`)
	b.until(`document.querySelector('th[data-sort="duration"]').getAttribute('aria-sort') === 'descending'`)
	if got := b.text(`table.calls tr[data-num] .c-duration`); got != "3 s" {
		t.Errorf("the longest call has %q", got)
	}
	b.js(`const s = document.querySelector('select[name="state"]'); s.value = 'busy'; s.dispatchEvent(new Event('change'))`)
	count("20 of 300 calls")
	b.send(`input[name="user"]`, "person3")
	b.until(`/^[23] of 300 calls$/.test(document.querySelector('.count').textContent)`)
	b.click(`.filters .clear`)
	count("300 of 300 calls")
	b.send(`input[name="code"]`, "4xx")
	count("80 of 300 calls")
	b.click(`.filters .clear`)
	b.send(`input[name="text"]`, "mixed-299@")
	count("1 of 300 calls")
	b.click(`table.calls tr[data-num="300"]`)
	b.until(`document.querySelector('.callbar h2')?.textContent.includes('Call 300')`)
	b.quiet(fileURL(out))
}

// Hostile texts in every field that a packet can fill do nothing but stand there.
func TestBrowserReportHostile(t *testing.T) {
	t.Parallel()
	b := newBrowser(t)
	out := filepath.Join(t.TempDir(), "hostile.html")
	sipscopeRun(t, "report", pcap("hostile-names.pcap"), writeFlow(t, "hostile.flow", hostileFlow()), "-o", out,
		"--title", `</title><script>document.title='owned'</script>`)
	page, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(page), "<script>document.title") {
		t.Error("the title is markup")
	}
	b.open(fileURL(out), 1280, 800)
	b.until(`document.querySelectorAll('.canvas.drawn canvas').length > 1`)
	calls := eval[int](b, `S.unpack('rows-0').then((r) => r.length)`)
	if calls < 5 {
		t.Fatalf("%d calls in the report", calls)
	}
	b.js(`document.querySelectorAll('details').forEach((d) => { d.open = true; })`)
	for n := 1; n <= calls; n++ {
		eval[bool](b, `(async () => { location.hash = '#call=`+strconv.Itoa(n)+`&m=0'; await new Promise((r) => setTimeout(r, 150));
			for (const tab of document.querySelectorAll('.tabs button')) tab.click(); return true; })()`)
		b.until(`document.querySelector('.callbar h2')?.textContent.includes('Call ` + strconv.Itoa(n) + ` ')`)
	}
	if eval[bool](b, `Boolean(window.owned) || document.title.includes('owned') && !document.title.includes('<')`) {
		t.Error("a script of the capture ran")
	}
	if n := eval[int](b, `document.querySelectorAll('main script, main img, main iframe, main object, main [onerror], main [onload], main a[href^="javascript"]').length`); n != 0 {
		t.Errorf("%d elements of the capture's making", n)
	}
	b.quiet(fileURL(out))
}

// The same captures, served: what a page fetches is as inert as what a report holds.
func TestBrowserServeHostile(t *testing.T) {
	t.Parallel()
	b := newBrowser(t)
	address, _ := serving(t, nil, pcap("hostile-names.pcap"), writeFlow(t, "hostile.flow", hostileFlow()), "--title", `<script>window.owned=1</script>`)
	b.open(address+"/", 1280, 800)
	b.until(`document.querySelectorAll('.canvas.drawn canvas').length > 1`)
	b.open(address+"/calls", 1280, 800)
	b.until(`document.querySelectorAll('table.calls tr[data-num]').length > 10`)
	calls := eval[int](b, `document.querySelectorAll('table.calls tr[data-num]').length`)
	for n := 1; n <= calls; n++ {
		b.open(address+"/calls/"+strconv.Itoa(n)+"?m=0", 1280, 800)
		b.until(`document.querySelector('.panel h3') && document.querySelector('.callbar h2')?.textContent.includes('Call ` + strconv.Itoa(n) + ` ')`)
		b.js(`for (const tab of document.querySelectorAll('.tabs button')) tab.click()`)
		if eval[bool](b, `Boolean(window.owned)`) {
			t.Fatalf("a script of call %d ran", n)
		}
		if n := eval[int](b, `document.querySelectorAll('main script, main img, main iframe, main object, main [onerror], main [onload], main a[href^="javascript"]').length`); n != 0 {
			t.Errorf("%d elements of the capture's making", n)
		}
	}
	b.quiet(address + "/")
}

// hostileFlow puts what could break out of HTML, scripts, SVG, charts and JSON into every field that a packet can fill.
func hostileFlow() string {
	texts := []string{
		`</script><script>window.owned=1</script>`, `"><img src=x onerror=window.owned=1>`, `'-alert(1)-'`, `__f__window.owned=1__f__`,
		`]]><svg onload=window.owned=1>`, `{b|x}{a} ${window.owned=1}`, "\u2028window.owned=1", `javascript:window.owned=1//`, `=cmd|'/c calc'!A1`,
		`&lt;script&gt;`, `\x1b[31m<b>`,
	}
	var b strings.Builder
	b.WriteString("title Hostile texts\nstart 2026-02-01T09:00:00Z\nhost a 10.9.0.1 user=sip:a@a.example\nhost b 10.9.0.2 user=sip:b@b.example\n")
	for i, x := range texts {
		q := strconv.Quote(x)
		id := "c" + strconv.Itoa(i)
		b.WriteString("call " + id + " from a to b callid=" + strconv.Quote("x"+strings.ReplaceAll(x, " ", "")+strconv.Itoa(i)) + "\n")
		b.WriteString("+100ms a > b INVITE sdp=PCMU header.Subject=" + q + " header.User-Agent=" + q + " header.X-Odd=" + q +
			" header.From=" + strconv.Quote(`"`+strings.ReplaceAll(x, `"`, `\"`)+`" <sip:`+strings.NewReplacer(" ", "", ">", "%3e").Replace(x)+`@a.example>;tag=1`+strconv.Itoa(i)) + " call=" + id + "\n")
		b.WriteString("+10ms b > a 503 " + q + " header.Server=" + q + " header.Warning=" + strconv.Quote(`399 x "`+x+`"`) + " call=" + id + "\n")
		b.WriteString("+10ms a > b ACK call=" + id + "\n")
	}
	b.WriteString("call m from a to b callid=m1\n+1s a > b MESSAGE type=text/html body=" + strconv.Quote(texts[0]+texts[1]) + " call=m\n+5ms b > a 200 call=m\n")
	return b.String()
}

// How long the list of a report of 10,000 calls takes from a key to the rows that match it.
func BenchmarkBrowserSearch(b *testing.B) {
	page := newBrowser(b)
	out := filepath.Join(b.TempDir(), "large.html")
	args := []string{"report", "-o", out}
	for first := 0; first < 10_000; first += 1000 { // a flow has a bound
		args = append(args, writeFlow(b, "large.flow", mixedFlowFrom(first, 1000)))
	}
	sipscopeRun(b, args...)
	page.open(fileURL(out)+"#calls", 1280, 800)
	page.until(`document.querySelector('.count')?.textContent === '10,000 of 10,000 calls'`)
	const search = `(async () => {
		let worst = 0;
		for (const text of ['person3', 'mixed-9999@', '+493003', '10.0.2.1', 'nobody', 'p', '']) {
			const start = performance.now();
			await S.list.set({ text });
			await new Promise((r) => requestAnimationFrame(r));
			worst = Math.max(worst, performance.now() - start);
		}
		return worst;
	})()`
	worst := 0.0
	for b.Loop() {
		worst = max(worst, eval[float64](page, search))
	}
	b.ReportMetric(worst, "ms/search-worst")
}
