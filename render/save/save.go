// Package save writes calls to files: their frames as pcap or pcapng, their messages, ladders and summaries as text or
// for other programs.
//
// Run writes beside the target and puts the file in its place when it is whole, so that a save that fails or is
// cancelled leaves nothing behind and harms nothing that was there. Write is for streams. Calls are taken one at a time
// and frames are copied from a second pass over the captures, so memory does not grow with what is saved: a bit a frame
// of the captures, and the calls of one ladder.
//
// It does not choose calls, ask anybody, or know the time: progress is reported by amounts. Run and Write use no
// goroutine of their own and may run beside the pipeline that still fills the board and reads the captures.
package save

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"path/filepath"
	"strings"

	"sipscope/capture"
	"sipscope/correlate"
	"sipscope/decode"
	"sipscope/render/ladder"
	"sipscope/render/text"
)

var (
	// ErrExists says that the file is there and Job.Force is not set. It is as it was.
	ErrExists = errors.New("file exists")
	// ErrInput says that the file is one of the captures being read. Force does not help.
	ErrInput = errors.New("it is a capture that is being read")
	// ErrNothing says that the job has no calls, or none of the chosen messages. No file was made.
	ErrNothing = errors.New("nothing to save")
	// ErrWhole says that single messages were chosen for a format of whole calls. See Format.Messages.
	ErrWhole = errors.New("the format takes whole calls")
	// ErrSecrets says that secrets were to be saved in a format that has no place for them, or without their connections.
	ErrSecrets = errors.New("secrets of TLS connections do not go into the format")
	// ErrTooMany says that more messages than MaxTogether were to go into one drawing.
	ErrTooMany = errors.New("too many messages for one drawing")
	// ErrFormat says that a job's format is none of Formats.
	ErrFormat = errors.New("unknown format")
)

// MaxTogether is the most messages in one ladder or JSON document, which are built in memory (some 1.5 KB a message).
// Nobody reads a ladder of so many rows; NDJSON, CSV, text and captures have no such bound.
const MaxTogether = 1 << 16

// Frames is a pass over the captures: the frames in the order of their Seq, which are those that the calls name.
// *capture.Files is one.
type Frames interface {
	capture.Source
	io.Closer
}

// Source is where the bytes of calls are read again. Its functions may be called while the captures are still read.
type Source struct {
	// Frames begins a pass at the first frame. Nil when frames cannot be read again.
	Frames func() (Frames, error)
	// Text gives the raw text of a message by its index in the call. Nil when texts cannot be read again.
	Text func(call *correlate.Call, message int) ([]byte, error)
	// Comments is what a capture says about a frame, for pcapng; nil for none.
	Comments func(seq uint64) string
	// Includes reports whether a file is one of the captures; nil when they are no files.
	Includes func(info fs.FileInfo) bool
}

// FromFiles reads frames and texts again from files, which stay the caller's to close, after the last save has ended.
func FromFiles(files *capture.Files) Source {
	return Source{
		Frames: func() (Frames, error) {
			again, err := files.Reopen()
			if err != nil {
				return nil, err // not a nil *Files in an interface
			}
			return again, nil
		},
		Text: func(call *correlate.Call, message int) ([]byte, error) {
			return decode.ReadText(files, call.Messages[message].Pieces)
		},
		Comments: files.Comments,
		Includes: files.Includes,
	}
}

// Job says what to save, and where.
type Job struct {
	// Path is the file. A symbolic link is followed; a device or a named pipe is written to as it is (opening a pipe waits
	// for its reader).
	Path string
	// Format must be set; see FormatOf.
	Format Format
	// Force overwrites an existing file, which keeps its permissions. Without it an existing file gives ErrExists.
	Force bool

	Source Source
	// Calls gives the calls in the order in which they are saved; it is walked once. Each is a copy that nobody changes, as
	// Board.Call gives it: what goes into one drawing is kept until that is drawn. See Numbered.
	Calls iter.Seq[*correlate.Call]
	// Total is how many calls there are, for Progress; 0 when not known.
	Total int
	// Messages, when not nil, chooses single messages by index in their call, for formats that can (Format.Messages).
	Messages func(call *correlate.Call, message int) bool

	// Connections, when not nil, has captures hold the whole TLS and WebSocket connections that carried the messages, with
	// their handshakes: nobody can decrypt or unmask a part. It gives the TLS connections that are known: Board.Secured.
	// Packets of these connections that are fragments of IP are not found.
	Connections func() []decode.Secured
	// Secrets adds what decrypts these TLS connections, and no others, to the file (Format.Secrets), with Connections. It
	// opens all that they carry, to everybody who has the file.
	Secrets bool

	// Headers names the values in Summary.Columns, for JSON, NDJSON and CSV.
	Headers []string
	// Together draws text ladders of all calls as one, by time. Without it each call has its own. Mermaid and JSON, one
	// document a file, are always together.
	Together bool
	// Ladder says how ladders and JSON are laid out.
	Ladder ladder.Options
	// Width of text ladders in cells; 0 takes DefaultWidth.
	Width int
	// Times is the left column of text ladders.
	Times text.Times
}

// DefaultWidth is how wide a ladder is drawn, in cells: a page of a ticket or a mail.
const DefaultWidth = 120

// Numbered gives the calls with these numbers, one at a time. One that the board no longer has is left out.
func Numbered(board *correlate.Board, nums iter.Seq[uint32]) iter.Seq[*correlate.Call] {
	return func(yield func(*correlate.Call) bool) {
		for num := range nums {
			if c, ok := board.Call(num); ok && !yield(&c) {
				return
			}
		}
	}
}

// Progress says how far a save is.
type Progress struct {
	Calls, TotalCalls   int    // taken, of Job.Total
	Frames, TotalFrames int    // written, of a capture; TotalFrames is -1 while the calls are asked for their frames
	Pass, LastPass      uint64 // frames that the second pass has gone through, and the last one that it needs
	Bytes               int64  // written
	Done                bool   // nothing is left to do: the last report of a save that succeeded
}

// Percent is how much is done, 0 to 100; -1 when not known.
func (p Progress) Percent() int {
	switch {
	case p.Done:
		return 100
	case p.LastPass > 0:
		return int(min(p.Pass, p.LastPass) * 100 / p.LastPass) //nolint:gosec // at most 100
	case p.TotalFrames < 0:
		return 0
	case p.TotalCalls <= 0:
		return -1
	}
	return min(p.Calls, p.TotalCalls) * 100 / p.TotalCalls
}

// Result says what was saved.
type Result struct {
	Path   string // as given
	Calls  int
	Frames int // of a capture
	Bytes  int64
}

// Run saves to Job.Path. It ends soon after ctx does, with its cause. report is called at the end and now and then, by
// the amount of work: some tens of times a second at most; nil for none.
//
// Errors name the path. Those that a caller decides on are this package's, capture.ErrLinkType (a pcap file takes one
// link type, pcapng several), capture.ErrTime, capture.ErrNotKept and capture.ErrDamaged (frames or texts that cannot
// be read again) and those of the file system.
func Run(ctx context.Context, job Job, report func(Progress)) (Result, error) {
	res, err := run(ctx, job, report)
	if err == nil {
		return res, nil
	}
	if ctx.Err() != nil {
		return Result{}, context.Cause(ctx)
	}
	return Result{}, fmt.Errorf("%s: %w", job.Path, withoutPath(err, job.Path))
}

func run(ctx context.Context, job Job, report func(Progress)) (Result, error) {
	if job.Path == "" {
		return Result{}, fmt.Errorf("no file named: %w", fs.ErrInvalid)
	}
	if err := job.check(); err != nil {
		return Result{}, err
	}
	last, res := Progress{}, Result{}
	err := place(ctx, job.Path, job.Force, job.Source.Includes, func(w io.Writer) (err error) {
		res, err = Write(ctx, w, job, func(p Progress) {
			if last = p; !p.Done && report != nil {
				report(p)
			}
		})
		return err
	})
	if err != nil {
		return Result{}, err
	}
	if report != nil {
		report(last)
	}
	res.Path = job.Path
	return res, nil
}

// File writes a file as Run does: beside the target, and put in its place when write has written all of it. includes
// reports whether a file is one of the captures (Source.Includes). Errors are those of Run.
func File(
	ctx context.Context, path string, force bool, includes func(fs.FileInfo) bool, write func(w io.Writer) error,
) error {
	err := place(ctx, path, force, includes, write)
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return context.Cause(ctx)
	}
	return fmt.Errorf("%s: %w", path, withoutPath(err, path))
}

func place(
	ctx context.Context, path string, force bool, includes func(fs.FileInfo) bool, write func(w io.Writer) error,
) error {
	t, err := openTarget(path, force, includes)
	if err != nil {
		return err
	}
	defer t.abort() // nothing to do after commit; also when a callback panics
	defer t.wakeWith(ctx)()
	if err = write(t.f); err == nil && ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		return err
	}
	return t.commit()
}

// withoutPath takes the path, and the name of a temporary file, out of an error of the system: the caller names the file.
func withoutPath(err error, path string) error {
	why, ok := errors.AsType[*fs.PathError](err)
	if ok && (why.Path == path || strings.HasPrefix(filepath.Base(why.Path), tempPrefix)) {
		return why.Err
	}
	return err
}

// Write is Run for a stream: Job.Path and Job.Force are not used. What was written before an error stays.
func Write(ctx context.Context, w io.Writer, job Job, report func(Progress)) (Result, error) {
	if err := job.check(); err != nil {
		return Result{}, err
	}
	o := &output{w: w, report: report, stopped: func() error {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		return nil
	}}
	o.p.TotalCalls = job.Total
	if err := job.Format.facts().write(ctx, o, &job); err != nil {
		if stopped := o.stopped(); stopped != nil {
			err = stopped
		}
		return Result{}, err
	}
	o.p.Done = true
	o.tell(true)
	return Result{Calls: o.p.Calls, Frames: o.p.Frames, Bytes: o.p.Bytes}, nil
}

// check finds what is wrong with a job before anything is opened.
func (j *Job) check() error {
	switch f := j.Format.facts(); {
	case f.write == nil:
		return fmt.Errorf("%w %d", ErrFormat, j.Format)
	case j.Secrets && (!f.secrets || j.Connections == nil):
		return fmt.Errorf("%s: %w", j.Format, ErrSecrets)
	case j.Calls == nil:
		return ErrNothing
	case j.Messages != nil && !f.messages:
		return fmt.Errorf("%s: %w, not single messages", j.Format, ErrWhole)
	case f.frames && j.Source.Frames == nil:
		return fmt.Errorf("frames: %w", capture.ErrNotKept)
	case f.texts && j.Source.Text == nil:
		return fmt.Errorf("texts: %w", capture.ErrNotKept)
	}
	return nil
}
