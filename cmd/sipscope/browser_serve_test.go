package main

import (
	"bufio"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
)

// serving runs sipscope serve as a program of its own and gives its address. The returned function interrupts it and
// gives its exit code.
func serving(tb testing.TB, in io.Reader, args ...string) (address string, end func() int) {
	tb.Helper()
	self, err := os.Executable()
	if err != nil {
		tb.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Args = append([]string{"sipscope", "serve", "--listen", "127.0.0.1:0"}, args...) // TestMain knows the name
	cmd.Stdin = in
	said, err := cmd.StderrPipe()
	if err != nil {
		tb.Fatal(err)
	}
	if err = cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	lines := bufio.NewScanner(said)
	for address == "" && lines.Scan() {
		address = regexp.MustCompile(`https?://[0-9.:]+`).FindString(lines.Text())
	}
	if address == "" {
		_ = cmd.Process.Kill()
		tb.Fatalf("serve did not say where it listens: %v", cmd.Wait())
	}
	var rest sync.WaitGroup
	rest.Go(func() {
		for lines.Scan() {
			tb.Log(lines.Text())
		}
	})
	end = sync.OnceValue(func() int {
		_ = cmd.Process.Signal(os.Interrupt)
		killer := time.AfterFunc(20*time.Second, func() { _ = cmd.Process.Kill() })
		rest.Wait()
		_ = cmd.Wait()
		killer.Stop()
		return cmd.ProcessState.ExitCode()
	})
	tb.Cleanup(func() { _ = end() })
	return address, end
}

// A call arrives while the page is open.
func TestBrowserServe(t *testing.T) {
	t.Parallel()
	b := newBrowser(t)
	whole, err := os.ReadFile(pcap("fork-two-200.pcap"))
	if err != nil {
		t.Fatal(err)
	}
	two, err := os.ReadFile(pcap("two-proxies.pcap"))
	if err != nil {
		t.Fatal(err)
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	address, end := serving(t, r, "-", "--title", "A pipe")
	if _, err = w.Write(whole); err != nil {
		t.Fatal(err)
	}
	b.open(address+"/calls", 1280, 800)
	b.until(`document.querySelectorAll('table.calls tr[data-num]').length === 1`)
	b.shot("serve-list-1-1280")
	const pcapHeader = 24 // the second capture goes on in the same file
	if _, err = w.Write(two[pcapHeader:]); err != nil {
		t.Fatal(err)
	}
	b.until(`document.querySelectorAll('table.calls tr[data-num]').length === 2`)
	b.shot("serve-list-2-1280")

	b.click(`table.calls tr[data-num="2"]`)
	b.until(`location.pathname === '/calls/2'`)
	b.until(`document.querySelectorAll('.ladderbody .row[data-msgs]').length === 14`)
	b.js(`document.querySelectorAll('.ladderbody .row[data-msgs]')[5].dispatchEvent(new MouseEvent('click', {bubbles: true}))`)
	b.until(`document.querySelector('.panel h3')?.textContent.startsWith('180 Ringing')`)
	if got := b.text(".messagetext pre"); !strings.Contains(got, "SIP/2.0 180 Ringing") {
		t.Errorf("the message is %q", got)
	}
	b.shot("serve-call-1280")
	// a call and a message can be linked
	link := eval[string](b, `location.href`)
	b.open(link, 390, 844)
	b.until(`document.querySelector('.panel h3')?.textContent.startsWith('180 Ringing')`)
	b.shot("serve-call-390")
	b.open(address+"/", 1280, 800)
	b.until(`document.querySelectorAll('.canvas.drawn canvas').length > 2`)
	b.shot("serve-overview-1280")
	b.open(address+"/calls", 1280, 800)
	b.send(`input[name="expr"]`, `dialogs > 1`)
	b.until(`document.querySelectorAll('table.calls tr[data-num]').length === 1 && document.querySelector('table.calls tr[data-num="1"]')`)
	b.send(`input[name="expr"]`, ` and`)
	b.until(`!document.querySelector('.problem').hidden`)
	b.shot("serve-filter-error-1280")
	if code := end(); code != exitDone {
		t.Errorf("exit code %d", code)
	}
	page := strings.TrimSuffix(address, "/")
	for _, p := range b.said() {
		// the wrong filter was answered with 400, and the end of the server ended the event stream
		if !strings.Contains(p, "400 (Bad Request)") && !strings.Contains(p, "ERR_CONNECTION_REFUSED") && !strings.Contains(p, "ERR_INCOMPLETE_CHUNKED") &&
			!strings.Contains(p, "ERR_CONNECTION_RESET") {
			t.Errorf("the page said: %s", p)
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, request := range b.requests {
		if !strings.HasPrefix(request, page+"/") {
			t.Errorf("the page asked for %s", request)
		}
	}
}

// The mixed capture, served: list sorted, filtered, opened.
func TestBrowserServeMixed(t *testing.T) {
	t.Parallel()
	b := newBrowser(t)
	address, _ := serving(t, nil, writeFlow(t, "mixed.flow", mixedFlow(300)))
	b.open(address+"/calls", 1280, 800)
	count := func(want string) {
		t.Helper()
		b.until(`document.querySelector('.count')?.textContent === '` + want + `'`)
	}
	count("300 of 300 calls")
	b.js(`const s = document.querySelector('select[name="state"]'); s.value = 'busy'; s.dispatchEvent(new Event('change'))`)
	count("20 of 300 calls")
	b.click(`.filters .clear`)
	b.send(`input[name="code"]`, "4xx")
	count("80 of 300 calls")
	b.click(`.filters .clear`)
	b.send(`input[name="text"]`, "mixed-299@")
	count("1 of 300 calls")
	b.click(`.filters .clear`)
	count("300 of 300 calls")
	b.click(`th[data-sort="duration"] button`)
	b.until(`document.querySelector('th[data-sort="duration"]').getAttribute('aria-sort') === 'descending'`)
	b.until(`document.querySelector('table.calls tr[data-num] .c-duration').textContent === '3 s'`)
	b.js(`document.querySelector('.scroll').scrollTop = 1e6`)
	b.until(`document.querySelectorAll('table.calls tr[data-num]').length > 10 && [...document.querySelectorAll('table.calls tr[data-num]')].pop().getAttribute('aria-rowindex') === '301'`)
	b.shot("serve-mixed-1280")
	b.open(address+"/calls", 390, 844)
	count("300 of 300 calls")
	b.shot("serve-mixed-390")
	b.quiet(address + "/")
}
