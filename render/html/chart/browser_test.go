package chart_test

import (
	"context"
	"encoding/json"
	"fmt"
	"html"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	cdplog "github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"sipscope/render/html/chart"
)

// themes are what the page sets for light and dark: background, text, lines.
var themes = []struct{ name, back, text, line string }{
	{"light", "#ffffff", "#566573", "#d5dbe1"},
	{"dark", "#14181f", "#9aa8b8", "#37414f"},
}

// TestDraw draws every chart of the goldens and of hostile figures in Chromium, in light and dark, wide and narrow.
func TestDraw(t *testing.T) {
	t.Parallel()
	ctx, said := startChromium(t)
	for _, set := range []struct {
		name   string
		charts []chart.Chart
	}{
		{"two-proxies", ofCaptures(t, "two-proxies.pcap")},
		{"mixed", ofCaptures(t)},
		{"busy", busy(t)},
		{"hostile", hostile(t)},
	} {
		for _, theme := range themes {
			for _, width := range []int{1280, 390} {
				name := fmt.Sprintf("%s-%s-%d", set.name, theme.name, width)
				page := drawing(t, set.charts, theme.back, theme.text, theme.line)
				draw(ctx, t, name, page, width, len(set.charts))
				for _, problem := range said.take() {
					t.Errorf("%s: %s", name, problem)
				}
			}
		}
	}
}

// drawing is a page that draws as the report does.
func drawing(t *testing.T, charts []chart.Chart, back, text, line string) string {
	t.Helper()
	options := make([]json.RawMessage, len(charts))
	var s strings.Builder
	fmt.Fprintf(&s, `<!doctype html><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<style>body{margin:12px;font:15px/1.45 system-ui,sans-serif;background:%s;color:%s}
main{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%%,460px),1fr));gap:1rem}
section{border:1px solid %s;padding:.8rem;min-width:0}h3,p{margin:.2rem 0}</style><main>`, back, text, line)
	for i, c := range charts {
		options[i] = c.Option
		fmt.Fprintf(&s, `<section><h3>%s</h3><p>%s</p><div class=c style="height:%dpx"></div></section>`,
			html.EscapeString(c.Title), html.EscapeString(c.About), c.Height)
	}
	all, err := json.Marshal(options)
	if err != nil {
		t.Fatal(err)
	}
	s.WriteString("</main><script>")
	s.Write(chart.Script())
	fmt.Fprintf(&s, `</script><script>
const options = %s, text = %q, line = %q;
const axis = (a) => a.map((x) => ({...x, axisLabel: {...x.axisLabel, color: text},
  axisLine: {...x.axisLine, lineStyle: {color: line}}, splitLine: {...x.splitLine, lineStyle: {color: line}}}));
document.querySelectorAll('.c').forEach((box, i) => {
  const o = options[i];
  echarts.init(box, null, {renderer: 'canvas'}).setOption({
    ...o, backgroundColor: 'transparent', textStyle: {color: text},
    xAxis: axis(o.xAxis), yAxis: axis(o.yAxis)}, true);
});
// painted counts the pixels that are not transparent.
window.painted = [...document.querySelectorAll('.c canvas')].map((c) => {
  const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;
  let n = 0;
  for (let i = 3; i < d.length; i += 4) if (d[i]) n++;
  return n;
});
</script>`, all, text, line)
	return s.String()
}

// complaints are what a browser says of its pages.
type complaints struct {
	mu       sync.Mutex
	problems []string
}

func startChromium(t *testing.T) (context.Context, *complaints) {
	t.Helper()
	path := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if p, err := exec.LookPath(name); err == nil {
			path = p
			break
		}
	}
	if path == "" {
		if os.Getenv("SIPSCOPE_CI") != "" {
			t.Fatal("chromium is missing, and CI must have it (Debian package chromium)")
		}
		t.Skip("no chromium: install the package chromium to test the drawing of charts")
	}
	flags := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.NoSandbox,
		chromedp.DisableGPU, chromedp.UserDataDir(t.TempDir()), chromedp.Flag("disable-background-networking", true),
		chromedp.Flag("disable-component-update", true), chromedp.Flag("disable-sync", true),
		chromedp.Flag("host-resolver-rules", "MAP * ~NOTFOUND , EXCLUDE 127.0.0.1"))
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	ctx, stopAllocator := chromedp.NewExecAllocator(ctx, flags...)
	ctx, stop := chromedp.NewContext(ctx)
	t.Cleanup(func() {
		_ = chromedp.Cancel(ctx)
		stop()
		stopAllocator()
		cancel()
	})
	var b complaints
	if err := chromedp.Listen(ctx, b.event); err != nil {
		t.Fatal(err)
	}
	if _, err := chromedp.Call(ctx, cdplog.Enable, cdp.Empty{}); err != nil {
		t.Fatal(err)
	}
	if _, err := chromedp.Call(ctx, runtime.Enable, cdp.Empty{}); err != nil {
		t.Fatal(err)
	}
	return ctx, &b
}

func (b *complaints) problem(format string, args ...any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.problems = append(b.problems, fmt.Sprintf(format, args...))
}

func (b *complaints) take() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	all := b.problems
	b.problems = nil
	return all
}

// event gathers what a page complains of.
func (b *complaints) event(ev any) {
	switch e := ev.(type) {
	case *runtime.EventConsoleAPICalled:
		args, err := json.Marshal(e.Args)
		b.problem("console %s: %s %v", e.Type, args, err)
	case *runtime.EventExceptionThrown:
		b.problem("exception: %+v", e.ExceptionDetails)
	case *cdplog.EventEntryAdded:
		b.problem("%s: %s (%s)", e.Entry.Source, e.Entry.Text, e.Entry.URL)
	}
}

// draw opens a page, checks that each of its charts is painted, and keeps a screenshot.
func draw(ctx context.Context, t *testing.T, name, page string, width, charts int) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "page.html")
	if err := os.WriteFile(file, []byte(page), 0o600); err != nil {
		t.Fatal(err)
	}
	address := url.URL{Scheme: "file", Path: filepath.ToSlash(file)}
	err := chromedp.Do(ctx, chromedp.EmulateViewport(int64(width), 844), chromedp.Navigate(address.String()))
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	painted, err := chromedp.Run(ctx, chromedp.Evaluate[[]int]("window.painted ?? []"))
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	picture, err := chromedp.Run(ctx, chromedp.FullScreenshot(100))
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	if dir := os.Getenv("SIPSCOPE_SCREENSHOTS"); dir != "" {
		if err = os.WriteFile(filepath.Join(dir, "chart-"+name+".png"), picture, 0o644); err != nil {
			t.Error(err)
		}
	}
	if len(painted) != charts {
		t.Errorf("%s: %d charts painted, want %d", name, len(painted), charts)
	}
	for i, n := range painted {
		if n < 100 {
			t.Errorf("%s: chart %d has %d painted pixels", name, i, n)
		}
	}
}
