package termtest

import (
	"context"
	"errors"
	"os"
	"testing"

	"sipscope/capture"
	"sipscope/correlate"
	"sipscope/correlate/media"
	"sipscope/decode"
	"sipscope/render/tui/term"
)

// Host plays the application: work of Go runs at once, and what is asked of it is kept for the test to look at.
type Host struct {
	Views    []term.View
	Said     []string
	Failed   []error
	Prompt   *term.Prompt
	Menu     *term.Menu
	Question string
	Yes      func()
	Copied   string
	Redrawn  int
	Opened   []string // "stats", "calls 1 2", ...: what was asked to be shown
	Nums     []uint32 // of the last ShowCalls, ShowPair or ShowHops
	Messages []term.MessageRef
	Compared term.Comparison                    // of the last ShowCompare
	Queue    []func(ctx context.Context) func() // with Async: work that waits for RunQueue
	Async    bool
	D        term.Data
	S        term.Settings
}

// NewHost shows a board.
func NewHost(d term.Data) *Host { return &Host{D: d, S: term.DefaultSettings()} }

var _ term.Host = (*Host)(nil)

// Open keeps the view.
func (h *Host) Open(v term.View) { h.Views = append(h.Views, v) }

// Close drops the top view.
func (h *Host) Close() {
	if len(h.Views) > 0 {
		h.Views = h.Views[:len(h.Views)-1]
	}
	h.Opened = append(h.Opened, "close")
}

// Say keeps the message.
func (h *Host) Say(message string) { h.Said = append(h.Said, message) }

// Fail keeps the error.
func (h *Host) Fail(err error) { h.Failed = append(h.Failed, err) }

// Ask keeps the prompt.
func (h *Host) Ask(p term.Prompt) { h.Prompt = &p }

// Choose keeps the menu.
func (h *Host) Choose(m term.Menu) { h.Menu = &m }

// Confirm keeps the question.
func (h *Host) Confirm(question string, yes func()) { h.Question, h.Yes = question, yes }

// Copy keeps the text.
func (h *Host) Copy(text, _ string) { h.Copied = text }

// Go runs the work at once, or puts it into the queue.
func (h *Host) Go(work func(ctx context.Context) func()) {
	if h.Async {
		h.Queue = append(h.Queue, work)
		return
	}
	if done := work(context.Background()); done != nil {
		done()
	}
}

// RunQueue runs the work that waits, and what it asks for in turn.
func (h *Host) RunQueue() {
	for len(h.Queue) > 0 {
		work := h.Queue[0]
		h.Queue = h.Queue[1:]
		if done := work(context.Background()); done != nil {
			done()
		}
	}
}

// Redraw counts.
func (h *Host) Redraw() { h.Redrawn++ }

// Data gives D.
func (h *Host) Data() *term.Data { return &h.D }

// Settings gives S.
func (h *Host) Settings() *term.Settings { return &h.S }

// ShowStats notes it.
func (h *Host) ShowStats() { h.Opened = append(h.Opened, "stats") }

// ShowCalls notes it.
func (h *Host) ShowCalls(nums []uint32, extended bool) {
	h.Nums = nums
	if extended {
		h.Opened = append(h.Opened, "extended")
		return
	}
	h.Opened = append(h.Opened, "calls")
}

// ShowMedia notes it.
func (h *Host) ShowMedia(nums []uint32) {
	h.Nums = nums
	h.Opened = append(h.Opened, "media")
}

// ShowMessages notes it.
func (h *Host) ShowMessages(call *correlate.Call, message int) {
	h.Messages = []term.MessageRef{{Call: call, Message: message}}
	h.Opened = append(h.Opened, "messages")
}

// ShowCompare notes it.
func (h *Host) ShowCompare(c term.Comparison) {
	h.Messages = []term.MessageRef{c.A, c.B}
	h.Compared = c
	h.Opened = append(h.Opened, "compare")
}

// ShowPair notes it.
func (h *Host) ShowPair(a, b uint32) {
	h.Nums = []uint32{a, b}
	h.Opened = append(h.Opened, "pair")
}

// ShowHops notes it.
func (h *Host) ShowHops(num uint32) {
	h.Nums = []uint32{num}
	h.Opened = append(h.Opened, "hops")
}

// Load reads a capture and gives the data of it, closed with the test. It skips when the capture is missing.
func Load(tb testing.TB, path string, headers ...string) term.Data {
	tb.Helper()
	if _, err := os.Stat(path); err != nil {
		tb.Skipf("no %s beside the checkout", path)
	}
	files, err := capture.Open([]string{path}, capture.Options{Spool: true})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = files.Close() })
	board, vault := &correlate.Board{}, decode.NewVault(decode.VaultOptions{})
	tb.Cleanup(func() { _ = vault.Close() })
	texts := vault.Reader(files)
	err = correlate.Run(tb.Context(), files, correlate.Config{Board: board, Headers: headers, Vault: vault})
	if err != nil && !errors.Is(err, capture.ErrDamaged) {
		tb.Fatal(err)
	}
	return term.Data{
		Board: board, Source: path, Headers: headers,
		Text: func(call *correlate.Call, message int) []byte {
			raw, err := decode.ReadText(texts, call.Messages[message].Pieces)
			if err != nil {
				return nil
			}
			return raw
		},
		Streams: func(call uint32) []media.Stream {
			if call == 0 {
				return board.Streams()
			}
			return board.Media(call)
		},
		Err: func() error { return nil },
		Progress: func() (done, total int64) {
			return files.Offset(), files.Size()
		},
	}
}
