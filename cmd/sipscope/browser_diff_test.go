package main

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/chromedp/chromedp/kb"
)

// diffFlow is a call through a proxy; subject and answer are what the two sides differ in.
func diffFlow(host, id, subject, answer string) string {
	lines := []string{
		"title Two calls", "start 2026-02-01T09:00:00Z",
		"host alice 10." + host + ".0.1 user=sip:alice@a.example", "host proxy 10." + host + ".0.2 proxy user=sip:proxy.example", "host bob 10." + host + ".0.3 user=sip:bob@b.example",
		"call c from alice to bob callid=" + id,
		"+0ms alice > proxy INVITE sdp=PCMU,PCMA header.Subject=" + strconv.Quote(subject),
		"+1ms proxy > bob INVITE sdp=PCMU,PCMA header.Subject=" + strconv.Quote(subject),
		"+1ms proxy > alice 100", "+40ms bob > proxy 180", "+1ms proxy > alice 180",
	}
	if answer == "200" {
		lines = append(lines, "+900ms bob > proxy 200 sdp=PCMU", "+1ms proxy > alice 200 sdp=PCMU", "+5ms alice > bob ACK",
			"+3s bob > alice BYE", "+1ms alice > bob 200")
	} else {
		lines = append(lines, "+900ms bob > proxy "+answer, "+1ms proxy > bob ACK", "+1ms proxy > alice "+answer, "+1ms alice > proxy ACK")
	}
	return strings.Join(lines, "\n") + "\n"
}

// sipscopeCode runs a command line in this process and gives its exit code.
func sipscopeCode(t *testing.T, args ...string) int {
	t.Helper()
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	return run(t.Context(), args, stdio{in: null, out: null, err: null})
}

// diffPage writes the page of two captures, which differ or not, and gives its path.
func diffPage(t *testing.T, code int, args ...string) string {
	t.Helper()
	out := filepath.Join(t.TempDir(), "diff.html")
	if got := sipscopeCode(t, append([]string{"diff", "-o", out}, args...)...); got != code {
		t.Fatalf("sipscope diff: exit code %d, want %d", got, code)
	}
	return out
}

// The page of a call that worked and one that did not: rows, messages, keys, one ladder on a phone.
func TestBrowserDiff(t *testing.T) {
	t.Parallel()
	good, bad := writeFlow(t, "good.flow", diffFlow("1", "good", "lunch", "200")), writeFlow(t, "bad.flow", diffFlow("2", "bad", "lunch", "488"))
	b := newBrowser(t)
	out := diffPage(t, exitNothing, good, bad)
	b.open(fileURL(out), 1280, 800)
	if got := b.text(".outcome"); !strings.Contains(got, "488 Not Acceptable Here") {
		t.Errorf("the headline is %q", got)
	}
	b.until(`document.querySelectorAll('.plr.row').length > 9 && document.querySelectorAll('.plr.first').length === 1`)
	b.shot("diff-1280")
	first := eval[string](b, `document.querySelector('.plr.first').dataset.row`)
	if got := eval[string](b, `document.querySelector('.plr.first .lanes.b .label').textContent`); got != "488 Not Acceptable Here" {
		t.Errorf("the first divergence is at %q", got)
	}

	b.key("n") // tolerated differences may come first
	for range 20 {
		if eval[string](b, `document.querySelector('.plr.chosen')?.dataset.row ?? ''`) == first {
			break
		}
		b.key("n")
	}
	b.key(kb.Enter)
	b.until(`document.querySelector('.two h3')?.textContent.includes('488 Not Acceptable Here')`)
	if got := eval[string](b, `[...document.querySelectorAll('.ml.changed.meaning mark')].map((m) => m.textContent).join('|')`); !strings.Contains(got, "200") || !strings.Contains(got, "488") {
		t.Errorf("marked inside lines: %q", got)
	}
	if got := eval[string](b, `document.querySelector('.msgs').innerText`); !strings.Contains(got, "Call-ID: good") || !strings.Contains(got, "Call-ID: bad") {
		t.Errorf("the messages are not both there: %q", got)
	}
	b.shot("diff-message-1280")
	b.key("n")
	b.until(`document.querySelector('.plr.chosen').dataset.row !== '` + first + `' && document.querySelector('.two')`)
	b.key("p")
	b.until(`document.querySelector('.plr.chosen').dataset.row === '` + first + `'`)
	b.key(kb.Escape)
	b.until(`!document.querySelector('.two')`)
	b.key(kb.ArrowDown)
	b.until(`document.activeElement.dataset.row === String(` + first + ` + 1)`)
	b.key("o")
	b.until(`![...document.querySelectorAll('.plr.v-same')].some((r) => r.offsetParent)`)
	b.key("o")

	b.js(`document.getElementById('theme').click()`)
	b.until(`getComputedStyle(document.documentElement).getPropertyValue('--dark').trim() === '1'`)
	b.shot("diff-dark-1280")

	b.open(fileURL(out)+"?phone#row="+strconv.Itoa(atoi(first)+1), 390, 844)
	b.until(`document.querySelector('.two h3')`)
	narrow(b)
	b.shot("diff-message-390")
	if n := eval[int](b, `[...document.querySelectorAll('.plr.alike .lanes.b')].filter((l) => l.offsetParent).length`); n != 0 {
		t.Errorf("%d rows that are alike are drawn twice on a narrow screen", n)
	}
	b.key(kb.Escape)
	b.until(`!document.querySelector('.two')`)
	b.js(`scrollTo(0, 0)`)
	b.shot("diff-390")
	b.quiet(fileURL(out))
}

func atoi(s string) int {
	n, err := strconv.Atoi(s)
	if err != nil {
		return -1
	}
	return n
}

// narrow checks that nothing is wider than the screen of a phone.
func narrow(b *browser) {
	b.t.Helper()
	if wide := eval[int](b, `document.documentElement.scrollWidth`); wide > 390 {
		b.t.Errorf("the page is %d pixels wide on a screen of 390", wide)
	}
}

// Two captures of several calls: a list, from which a pair is opened, and the way back.
func TestBrowserDiffMany(t *testing.T) {
	t.Parallel()
	b := newBrowser(t)
	out := diffPage(t, exitNothing, writeFlow(t, "before.flow", mixedFlow(60)), writeFlow(t, "after.flow", mixedFlow(58)))
	b.open(fileURL(out), 1280, 800)
	b.until(`document.querySelectorAll('table.pairs tbody tr').length === 60 && document.querySelectorAll('tr.v-missing').length === 2`)
	b.shot("diff-list-1280")
	b.click(`tr[data-pair="3"] a`)
	b.until(`document.querySelectorAll('.plr.row').length > 1 && document.getElementById('list').hidden`)
	b.key("]")
	b.until(`location.hash === '#pair=4'`)
	b.key(kb.Escape)
	b.until(`!document.getElementById('list').hidden`)
	b.open(fileURL(out)+"?phone", 390, 844)
	narrow(b)
	b.shot("diff-list-390")
	b.quiet(fileURL(out))
}

// Hostile texts in every field that a packet can fill do nothing but stand there.
func TestBrowserDiffHostile(t *testing.T) {
	t.Parallel()
	b := newBrowser(t)
	a, other := writeFlow(t, "hostile.flow", hostileFlow()), writeFlow(t, "other.flow", strings.ReplaceAll(hostileFlow(), "503", "486"))
	out := diffPage(t, exitNothing, a, other, "--title", `</title><script>window.owned=1</script>`)
	b.open(fileURL(out), 1280, 800)
	pairs := eval[int](b, `document.querySelectorAll('tr.open').length`)
	if pairs < 10 {
		t.Fatalf("%d pairs", pairs)
	}
	for i := range pairs {
		n := strconv.Itoa(i)
		eval[bool](b, `(async () => { location.hash = '#pair=`+n+`'; return true; })()`)
		b.until(`document.querySelectorAll('.plr.row').length > 0 && document.querySelector('.sides')`)
		b.js(`for (const r of document.querySelectorAll('.plr.row')) r.click()`)
	}
	if eval[bool](b, `Boolean(window.owned)`) {
		t.Error("a script of the capture ran")
	}
	if n := eval[int](b, `document.querySelectorAll('main script, main img, main iframe, main object, main [onerror], main [onload], main a[href^="javascript"]').length`); n != 0 {
		t.Errorf("%d elements of the capture's making", n)
	}
	b.quiet(fileURL(out))
}
