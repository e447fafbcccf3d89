package tui

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/gdamore/tcell/v2"
	"github.com/rivo/tview"

	"sipscope/correlate"
	"sipscope/render/ladder"
	"sipscope/render/save"
	"sipscope/render/text"
	"sipscope/render/tui/keymap"
	"sipscope/render/tui/term"
)

// save opens the dialog, or offers to end a save that is under way.
func (a *app) save() {
	if a.data.Board == nil {
		a.Say("the comparison can be saved, not its messages")
		return
	}
	if a.saving != nil {
		a.Confirm("A save is under way. Stop it?", a.saving.cancel)
		return
	}
	var choices []term.Choice
	for _, c := range a.top().Saving().Choices {
		if c.Count > 0 {
			choices = append(choices, c)
		}
	}
	if len(choices) == 0 {
		a.Say("nothing to save here")
		return
	}
	a.show(newSaveDialog(a, choices))
}

// saving is a save under way.
type saving struct {
	cancel   context.CancelFunc
	progress save.Progress
	path     string
}

// saveDialog asks what to save, as what, and where.
type saveDialog struct {
	a       *app
	choices []term.Choice
	formats []save.Format // that the chosen thing can be saved as
	format  save.Format
	choice  int
	form    *tview.Form
	focused tview.Primitive
	path    *tview.InputField
	edited  bool // the user has written the path
	setting bool // the program writes it
	closed  bool
}

// newSaveDialog makes a form of tview: two lists, a line and two buttons, with Tab from one to the next.
func newSaveDialog(a *app, choices []term.Choice) *saveDialog {
	d := &saveDialog{a: a, choices: choices, format: save.Pcap}
	labels := make([]string, len(choices))
	for i := range choices {
		labels[i] = tview.Escape(text.Clean(choices[i].Label))
	}
	field, plain := a.theme.Style(term.Field), a.theme.Style(term.Normal)
	d.form = tview.NewForm().SetItemPadding(0).SetFieldStyle(field).SetButtonStyle(field).
		SetButtonActivatedStyle(a.theme.Style(term.Cursor).Bold(true).Underline(true)).SetLabelColor(foreground(plain))
	d.form.SetBackgroundColor(tcell.ColorDefault)
	whole := max(0, slices.IndexFunc(choices, func(c term.Choice) bool { return c.Messages == nil }))
	d.form.AddDropDown("What  ", labels, whole, nil)
	d.form.AddDropDown("Format", []string{""}, 0, nil)
	d.path = tview.NewInputField().SetLabel("File  ").SetFieldStyle(field).SetChangedFunc(func(string) {
		d.edited = d.edited || !d.setting
		d.follow()
	})
	d.form.AddFormItem(d.path)
	d.form.AddButton("Save", d.start).AddButton("Cancel", func() { d.closed = true })
	d.form.SetCancelFunc(func() { d.closed = true })
	for i := range 2 {
		if list, ok := d.form.GetFormItem(i).(*tview.DropDown); ok {
			list.SetListStyles(plain, a.theme.Style(term.Cursor)).SetFieldStyle(field)
		}
	}
	d.choose(whole)
	if list, ok := d.form.GetFormItem(0).(*tview.DropDown); ok {
		list.SetSelectedFunc(func(_ string, i int) { d.choose(i) })
	}
	d.form.SetFocus(2)
	d.focus(d.form)
	return d
}

func foreground(st tcell.Style) tcell.Color {
	fg, _, _ := st.Decompose()
	return fg
}

// focus is what tview's application does for its widgets.
func (d *saveDialog) focus(p tview.Primitive) {
	if d.focused != nil {
		d.focused.Blur()
	}
	d.focused = p
	p.Focus(d.focus)
}

// choose takes what is to be saved, and offers the formats that it can have.
func (d *saveDialog) choose(i int) {
	if i < 0 || i >= len(d.choices) {
		return
	}
	d.choice = i
	d.formats = nil
	var names []string
	at := 0
	for _, f := range save.Formats() {
		if d.choices[i].Messages != nil && !f.Messages() {
			continue
		}
		if f == d.format {
			at = len(d.formats)
		}
		d.formats = append(d.formats, f)
		names = append(names, tview.Escape(fmt.Sprintf("%-12s %s", f, f.About())))
	}
	if list, ok := d.form.GetFormItem(1).(*tview.DropDown); ok {
		list.SetOptions(names, func(_ string, n int) {
			if n >= 0 && n < len(d.formats) {
				d.format = d.formats[n]
				d.name()
			}
		})
		list.SetCurrentOption(at)
	}
	d.name()
}

// name proposes a file name, until the user has written one; then only its ending follows the format.
func (d *saveDialog) name() {
	path := d.path.GetText()
	if d.edited && path != "" {
		path = strings.TrimSuffix(path, filepath.Ext(path)) + d.format.Ext()
	} else {
		path = "calls" + d.format.Ext()
		if c := &d.choices[d.choice]; c.Count == 1 {
			if nums := c.Calls(); len(nums) == 1 {
				path = fmt.Sprintf("call-%d%s", nums[0], d.format.Ext())
			}
		}
	}
	d.setting = true
	d.path.SetText(path)
	d.setting = false
}

// follow takes the format that the ending of the path names.
func (d *saveDialog) follow() {
	f, ok := save.FormatOf(d.path.GetText())
	i := slices.Index(d.formats, f)
	if d.setting || !ok || i < 0 || d.format.Ext() == f.Ext() {
		return
	}
	d.format = f
	if list, isList := d.form.GetFormItem(1).(*tview.DropDown); isList {
		d.setting = true
		path := d.path.GetText()
		list.SetCurrentOption(i)
		d.path.SetText(path)
		d.setting = false
	}
}

func (d *saveDialog) draw(c *term.Canvas) {
	w, h := c.Size()
	bw, bh := min(w, 72), min(h, 9)
	x, y := (w-bw)/2, (h-bh)/2
	frame(c, x, y, bw, bh, "save", " Tab next, Enter choose, Esc leave ")
	s, x0, y0 := c.Screen()
	d.form.SetRect(x0+x+1, y0+y+1, bw-2, bh-2)
	d.form.Draw(s)
}

func (d *saveDialog) key(ev *tcell.EventKey) bool {
	if ev.Key() == tcell.KeyEnter && d.path.HasFocus() {
		d.start()
		return !d.closed
	}
	d.form.InputHandler()(ev, d.focus)
	return !d.closed
}

func (d *saveDialog) mouse(term.Mouse) bool { return true }

// start saves, and asks before it overwrites.
func (d *saveDialog) start() {
	path := expandHome(strings.TrimSpace(d.path.GetText()), d.a.opts.Env)
	if path == "" {
		d.a.Say("no file named")
		return
	}
	d.closed = true
	job := d.a.job(&d.choices[d.choice], d.format, path)
	d.a.runSave(d.a.ctx, job)
}

// expandHome replaces a leading "~/", which only shells know.
func expandHome(path string, env func(string) string) string {
	if rest, ok := strings.CutPrefix(path, "~/"); ok && env != nil && env("HOME") != "" {
		return filepath.Join(env("HOME"), rest)
	}
	return path
}

// job says what a choice means to render/save.
func (a *app) job(c *term.Choice, f save.Format, path string) save.Job {
	nums := c.Calls()
	board := a.data.Board
	job := save.Job{
		Path: path, Format: f, Source: a.opts.Save, Total: len(nums), Headers: a.data.Headers,
		Calls:    func(yield func(*correlate.Call) bool) { save.Numbered(board, slices.Values(nums))(yield) },
		Together: a.top().Scope() == keymap.Ladder,
		Ladder: ladder.Options{
			ByIP: a.settings.ByIP, FoldHops: a.settings.FoldHops, Unfold: a.settings.Unfold, SDP: a.settings.SDP,
			Streams: a.data.Streams, Lanes: a.data.Lanes, Findings: a.data.Findings,
			Aliases: a.settings.Aliases, Source: a.data.Source, Of: int(min(board.Totals().Calls, 1<<31-1)),
		},
		Times: map[string]text.Times{"absolute": text.TimesAbsolute, "relative": text.TimesRelative}[a.settings.Times],
	}
	if chosen := c.Messages; chosen != nil {
		job.Messages = func(call *correlate.Call, index int) bool { return slices.Contains(chosen[call.Num], index) }
	}
	return job
}

// runSave saves on a goroutine of its own. It goes on when the user leaves the view.
func (a *app) runSave(ctx context.Context, job save.Job) {
	ctx, cancel := context.WithCancel(ctx)
	s := &saving{cancel: cancel, path: job.Path}
	a.saving = s
	a.working++
	a.jobs.Go(func() {
		r, err := save.Run(ctx, job, func(p save.Progress) {
			a.deliver(func() {
				s.progress = p
			})
		})
		stopped := ctx.Err() != nil
		cancel()
		a.deliver(func() {
			a.working--
			a.saving = nil
			a.saved(job, r, err, stopped)
		})
	})
}

// deliver runs f on the loop's goroutine.
func (a *app) deliver(f func()) {
	select {
	case a.results <- result{done: f}:
	case <-a.ctx.Done():
	}
}

func (a *app) saved(job save.Job, r save.Result, err error, stopped bool) {
	switch {
	case err == nil && r.Frames > 0:
		a.Say(fmt.Sprintf("%s of %s saved to %s", count(r.Frames, "frame"), count(r.Calls, "call"), r.Path))
	case err == nil:
		a.Say(fmt.Sprintf("%s saved to %s, %d bytes", count(r.Calls, "call"), r.Path, r.Bytes))
	case stopped:
		a.Say("stopped: nothing was written to " + job.Path)
	case errors.Is(err, save.ErrExists):
		a.Confirm(job.Path+" exists. Overwrite it?", func() {
			job.Force = true
			a.runSave(a.ctx, job)
		})
	case errors.Is(err, os.ErrNotExist):
		a.Fail(fmt.Errorf("%w: the directory must exist", err))
	default:
		a.Fail(err)
	}
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// savingText is a save's progress for the status line.
func (a *app) savingText() string {
	if a.saving == nil {
		return ""
	}
	if p := a.saving.progress.Percent(); p >= 0 {
		return fmt.Sprintf("saving %d %%", p)
	}
	return "saving"
}
