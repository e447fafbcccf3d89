package main

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	cdplog "github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// browser is a Chromium that can reach nothing but what a test allows.
type browser struct {
	t   testing.TB
	ctx context.Context //nolint:containedctx // chromedp names a browser by its context

	mu       sync.Mutex
	problems []string // console errors, exceptions, dialogs
	requests []string // but for the page itself, data: and blob:
}

// findChromium gives the browser of this machine. CI must have it.
func findChromium(tb testing.TB) string {
	tb.Helper()
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	if os.Getenv("SIPSCOPE_CI") != "" {
		tb.Fatal("chromium is missing, and CI must have it (Debian package chromium)")
	}
	tb.Skip("no chromium: install the package chromium to test pages")
	return ""
}

// newBrowser starts a browser. Host names resolve to nothing but loopback's own.
func newBrowser(tb testing.TB) *browser {
	tb.Helper()
	opts := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(findChromium(tb)), chromedp.NoSandbox, chromedp.DisableGPU, chromedp.UserDataDir(tb.TempDir()),
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true),
		chromedp.Flag("host-resolver-rules", "MAP * ~NOTFOUND , EXCLUDE 127.0.0.1"),
	)
	ctx, cancel := context.WithTimeout(tb.Context(), 2*time.Minute)
	ctx, stopAlloc := chromedp.NewExecAllocator(ctx, opts...)
	ctx, stop := chromedp.NewContext(ctx)
	b := &browser{t: tb, ctx: ctx}
	tb.Cleanup(func() {
		_ = chromedp.Cancel(ctx)
		stop()
		stopAlloc()
		cancel()
	})
	if err := chromedp.Listen(ctx, b.event); err != nil {
		tb.Fatal(err)
	}
	for _, err := range []error{
		enable(ctx, network.Enable, network.EnableParams{}), enable(ctx, cdplog.Enable, cdp.Empty{}),
		enable(ctx, runtime.Enable, cdp.Empty{}), enable(ctx, page.Enable, page.EnableParams{}),
	} {
		if err != nil {
			tb.Fatal(err)
		}
	}
	return b
}

func enable[P any](ctx context.Context, cmd cdp.Command[P, cdp.Empty], params P) error {
	_, err := chromedp.Call(ctx, cmd, params)
	return err
}

func (b *browser) event(ev any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch e := ev.(type) {
	case *runtime.EventConsoleAPICalled:
		if e.Type == runtime.ConsoleAPICalledTypeError || e.Type == runtime.ConsoleAPICalledTypeWarning {
			b.problems = append(b.problems, fmt.Sprintf("console %s: %+v", e.Type, e.Args))
		}
	case *runtime.EventExceptionThrown:
		b.problems = append(b.problems, fmt.Sprintf("exception: %+v", e.ExceptionDetails))
	case *cdplog.EventEntryAdded:
		if e.Entry.Level == cdplog.EntryLevelError || e.Entry.Level == cdplog.EntryLevelWarning {
			b.problems = append(b.problems, fmt.Sprintf("%s: %s (%s)", e.Entry.Source, e.Entry.Text, e.Entry.URL))
		}
	case *page.EventJavascriptDialogOpening:
		b.problems = append(b.problems, "dialog: "+e.Message)
		go func() {
			_, _ = chromedp.Call(b.ctx, page.HandleJavaScriptDialog, page.HandleJavaScriptDialogParams{Accept: true})
		}()
	case *network.EventRequestWillBeSent:
		if u := e.Request.URL; !strings.HasPrefix(u, "data:") && !strings.HasPrefix(u, "blob:") {
			b.requests = append(b.requests, u)
		}
	}
}

// do runs actions and fails the test when one does not work.
func (b *browser) do(actions ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	if err := b.try(actions...); err != nil {
		b.t.Fatalf("%v; the page said: %q", err, b.said())
	}
}

func (b *browser) try(actions ...chromedp.Action[chromedp.Void]) error {
	ctx, cancel := context.WithTimeout(b.ctx, 30*time.Second)
	defer cancel()
	return chromedp.Do(ctx, actions...)
}

// click clicks. A page may draw the element anew between the driver's search for it and its click.
func (b *browser) click(selector string) {
	b.t.Helper()
	err := b.try(chromedp.Click(chromedp.CSS(selector)))
	for range 5 {
		if err == nil || !strings.Contains(err.Error(), "Could not find node") {
			break
		}
		err = b.try(chromedp.Click(chromedp.CSS(selector)))
	}
	if err != nil {
		b.t.Fatalf("%s: %v; the page said: %q", selector, err, b.said())
	}
}

func (b *browser) send(selector, keys string) {
	b.t.Helper()
	b.do(chromedp.SendKeys(chromedp.CSS(selector), keys))
}

func (b *browser) key(keys string) { b.t.Helper(); b.do(chromedp.KeyEvent(keys)) }

func (b *browser) said() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]string(nil), b.problems...)
}

// open loads a page in a window of a size and waits for its scripts.
func (b *browser) open(address string, width, height int64) {
	b.t.Helper()
	b.do(chromedp.EmulateViewport(width, height), chromedp.Navigate(address))
	b.until(`document.documentElement.classList.contains('ready')`)
}

// text gives what is written in an element.
func (b *browser) text(selector string) string {
	b.t.Helper()
	return eval[string](b, `document.querySelector(`+strconv.Quote(selector)+`)?.innerText ?? ''`)
}

// js runs statements in the page.
func (b *browser) js(statements string) {
	b.t.Helper()
	eval[bool](b, `(() => { `+statements+`; return true; })()`)
}

// eval gives the value of an expression in the page, or of its promise.
func eval[T any](b *browser, expression string) T {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, 30*time.Second)
	defer cancel()
	v, err := chromedp.Run(ctx, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
	if err != nil {
		b.t.Fatalf("%s: %v; the page said: %q", expression, err, b.said())
	}
	return v
}

// until waits for an expression to become true.
func (b *browser) until(expression string) {
	b.t.Helper()
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if eval[bool](b, `Boolean(`+expression+`)`) {
			return
		}
	}
	b.shot("failed-" + b.t.Name())
	b.t.Fatalf("never: %s; the page said: %q", expression, b.said())
}

// shot keeps a screenshot as build output: in the folder that SIPSCOPE_SCREENSHOTS names.
func (b *browser) shot(name string) {
	b.t.Helper()
	png, err := chromedp.Run(b.ctx, chromedp.CaptureScreenshot())
	if err != nil {
		b.t.Fatal(err)
	}
	if len(png) < 1000 {
		b.t.Errorf("screenshot %s has %d bytes", name, len(png))
	}
	dir := os.Getenv("SIPSCOPE_SCREENSHOTS")
	if dir == "" {
		return
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		b.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, name+".png"), png, 0o644); err != nil {
		b.t.Fatal(err)
	}
}

// quiet fails when the page complained, or asked for anything but what is allowed.
func (b *browser) quiet(allowed string) {
	b.t.Helper()
	for _, p := range b.said() {
		b.t.Errorf("the page said: %s", p)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, r := range b.requests {
		if !strings.HasPrefix(r, allowed) {
			b.t.Errorf("the page asked for %s", r)
		}
	}
}

func fileURL(path string) string {
	return (&url.URL{Scheme: "file", Path: filepath.ToSlash(path)}).String()
}

// sipscopeRun runs a command line in this process.
func sipscopeRun(tb testing.TB, args ...string) {
	tb.Helper()
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		tb.Fatal(err)
	}
	defer null.Close()
	said, err := os.Create(filepath.Join(tb.TempDir(), "stderr"))
	if err != nil {
		tb.Fatal(err)
	}
	defer said.Close()
	if code := run(tb.Context(), args, stdio{in: null, out: null, err: said}); code != exitDone {
		text, _ := os.ReadFile(said.Name())
		tb.Fatalf("sipscope %q: exit code %d: %s", args, code, text)
	}
}

func pcap(name string) string { return filepath.Join("..", "..", "testdata", "pcaps", name) }
