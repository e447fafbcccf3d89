package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"sipscope/correlate"
	"sipscope/correlate/cut"
	"sipscope/correlate/media"
	"sipscope/decode/frame"
	"sipscope/render/audio"
	"sipscope/render/save"
	"sipscope/render/text"
)

// audioBytes bounds the packets that are kept at a time: some three hours of a call in G.711.
const audioBytes = 256 << 20

// readAudio reads the captures and writes the sound of calls.
func (c *exportCommand) readAudio(cmd *cobra.Command, args []string) error {
	a, err := c.read(cmd.Context(), cmd, args, wants{again: true})
	if err != nil {
		return err
	}
	defer a.close()
	return c.runAudio(cmd.Context(), a)
}

// runAudio writes the sound of calls.
func (c *exportCommand) runAudio(ctx context.Context, a *archive) error {
	nums, err := c.chosen(a)
	if err != nil {
		return err
	}
	if a.door.frames.Frames == nil {
		return usagef("write it to a file first", "the packets cannot be read twice, and media needs that")
	}
	folder, err := c.audioFolder(nums)
	if err != nil {
		return err
	}
	written := 0
	err = c.eachCut(ctx, a, nums, func(call *correlate.Call, r *cut.Result, index int) error {
		path := c.audio
		if folder {
			path = filepath.Join(c.audio, fmt.Sprintf("call-%d.wav", call.Num))
		}
		one := c.writeAudio(ctx, a, path, call, r, index)
		if one != nil && folder && leftOut(one) {
			fmt.Fprintf(c.io.err, "call %d: %v\n", call.Num, one)
			return nil
		}
		if one == nil {
			written++
		}
		return one
	})
	switch {
	case err != nil:
		return audioError(err, c.audio)
	case written == 0:
		return nothingError{"no call has audio that can be written"}
	}
	return a.err
}

// audioFolder reports whether the calls go to a folder, which is made when it is not there. Several calls need one.
func (c *exportCommand) audioFolder(nums []uint32) (bool, error) {
	folder := strings.HasSuffix(c.audio, string(filepath.Separator)) || isFolder(c.audio)
	switch {
	case len(nums) != 1 && !folder:
		return false, usagef("name one with --call N, or a folder: --audio calls/", "%d calls, and a sound file holds one", len(nums))
	case len(nums) != 1 && len(c.streams) > 0:
		return false, usagef("name one with --call N", "--stream is for one call, and these are %d", len(nums))
	case folder:
		return true, os.MkdirAll(c.audio, 0o700)
	}
	return false, nil
}

func isFolder(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

// leftOut reports whether an error is one of a call, and not of the files.
func leftOut(err error) bool {
	for _, one := range []error{
		audio.ErrNoAudio, audio.ErrCodec, audio.ErrTooLong, audio.ErrRates, cut.ErrDTLS, cut.ErrNoKey, cut.ErrCrypto, cut.ErrAuthentication,
	} {
		if errors.Is(err, one) {
			return true
		}
	}
	return false
}

// eachCut reads the captures once more for the media of calls, and for half of the calls at a time when that is too much
// to keep.
func (c *exportCommand) eachCut(
	ctx context.Context, a *archive, nums []uint32, f func(call *correlate.Call, r *cut.Result, index int) error,
) error {
	var calls []correlate.Call
	for _, num := range nums {
		if call, ok := a.board.Call(num); ok {
			calls = append(calls, call)
		}
	}
	if len(calls) == 0 {
		return nothingError{"the calls are no longer kept"}
	}
	texts, failed := a.texts(calls)
	frames, err := a.door.frames.Frames()
	if err != nil {
		return err
	}
	r, err := cut.Cut(ctx, frames, calls, texts, cut.Options{Bytes: audioBytes, Types: []string{"audio"}})
	_ = frames.Close()
	if r == nil || ctx.Err() != nil {
		return err
	}
	if err != nil && a.err == nil {
		return err // a damaged input was told when it was read first
	}
	if why := failed(); why != nil {
		return why
	}
	if r.Counts.Left+r.Counts.Streamless > 0 && len(calls) > 1 {
		if err = c.eachCut(ctx, a, nums[:len(nums)/2], f); err != nil {
			return err
		}
		return c.eachCut(ctx, a, nums[len(nums)/2:], f)
	}
	for i := range calls {
		if err = f(&calls[i], r, i); err != nil {
			return err
		}
	}
	return nil
}

// writeAudio writes the sound of one call, and says what it is.
func (c *exportCommand) writeAudio(
	ctx context.Context, a *archive, path string, call *correlate.Call, r *cut.Result, index int,
) error {
	rec, err := audio.New(r, call, index, audio.Options{Streams: c.streams, Number: numbered(a.board.Media(call.Num))})
	if err != nil {
		return err
	}
	if path == "-" {
		err = rec.WriteWAV(ctx, c.io.out)
	} else {
		err = save.File(ctx, path, c.force, a.door.frames.Includes, func(w io.Writer) error { return rec.WriteWAV(ctx, w) })
	}
	if err == nil && !c.quiet {
		c.tellAudio(path, call, rec)
	}
	return err
}

// numbered gives streams the numbers of: sipscope media.
func numbered(streams []media.Stream) func(from, to frame.Endpoint, ssrc uint32) int {
	type key struct {
		from, to frame.Endpoint
		ssrc     uint32
	}
	numbers := make(map[key]int, len(streams))
	for i := range slices.Backward(streams) { // of several the first counts
		s := &streams[i]
		numbers[key{s.Src, s.Dst, s.SSRC}] = int(s.Num)
	}
	return func(from, to frame.Endpoint, ssrc uint32) int { return numbers[key{from, to, ssrc}] }
}

// tellAudio says on stderr what was written, a line a channel and a line a stream.
func (c *exportCommand) tellAudio(path string, call *correlate.Call, rec *audio.Recording) {
	if path == "-" {
		path = "standard output"
	}
	length := time.Duration(rec.Frames * 1e6 / int64(rec.Rate) * 1e3).Round(time.Millisecond)
	after := time.Duration(rec.Began - call.First).Round(time.Millisecond)
	fmt.Fprintf(c.io.err, "call %d written to %s: %s, %d Hz, %.3f s, from %.3f s after the call's first message\n",
		call.Num, path, plural(len(rec.Channels), "channel"), rec.Rate, length.Seconds(), after.Seconds())
	for i := range rec.Channels {
		c.tellChannel(i, &rec.Channels[i], len(rec.Channels))
	}
	if len(rec.Left) > 0 {
		fmt.Fprintf(c.io.err, "  not written, --stream N or N,M chooses:\n")
	}
	const most = 8
	for i := range rec.Left {
		if i == most {
			fmt.Fprintf(c.io.err, "    and %d more\n", len(rec.Left)-most)
			break
		}
		fmt.Fprintf(c.io.err, "    %s\n", streamLine(&rec.Left[i]))
	}
}

func (c *exportCommand) tellChannel(i int, ch *audio.Channel, channels int) {
	name := [...]string{"left", "right"}[i%2]
	if channels == 1 {
		name = "mono"
	}
	if len(ch.Streams) == 0 {
		fmt.Fprintf(c.io.err, "  %-5s %s: silence, no stream was seen\n", name, ch.Side)
		return
	}
	lost := strconv.FormatUint(ch.Lost, 10) + " lost"
	if ch.Lost > 0 {
		lost += fmt.Sprintf(" (%d ms of silence)", ch.LostTime/1e6)
	}
	fmt.Fprintf(c.io.err, "  %-5s %s: %s, %s%s\n", name, ch.Side, plural(int(min(ch.Packets, 1<<62)), "packet"), lost, odd(ch))
	for k := range ch.Streams {
		p := &ch.Streams[k]
		line := streamLine(&p.Candidate)
		if o := &p.Opened; o.Authenticated > 0 {
			line += fmt.Sprintf(", %s: %d packets decrypted, %d failed", o.Suite, o.Authenticated, o.Failed)
			if o.Keys > 1 {
				line += fmt.Sprintf(", by %d keys", o.Keys)
			}
			if o.Unproved {
				line += ", none is authenticated"
			}
		}
		if p.Cut > 0 {
			line += fmt.Sprintf(", its last %d packets were too many to keep", p.Cut)
		}
		fmt.Fprintf(c.io.err, "    %s\n", line)
	}
}

// odd says what else happened to the packets of a channel, when something did.
func odd(ch *audio.Channel) string {
	var b strings.Builder
	for _, x := range []struct {
		n    uint64
		what string
	}{
		{ch.Duplicates, "%d came twice"},
		{ch.Unplayed, "%d of another codec are silence"},
		{ch.Anchored, "the sender's clock was set %d times"},
	} {
		if x.n > 0 {
			fmt.Fprintf(&b, ", "+x.what, x.n)
		}
	}
	return b.String()
}

// streamLine names a stream as --stream takes it.
func streamLine(s *audio.Candidate) string {
	secure := ""
	if s.Secure {
		secure = "SRTP "
	}
	codecs := strings.Join(s.Codecs, ", ")
	if codecs == "" {
		codecs = "events"
	}
	return fmt.Sprintf("stream %d: %s %s > %s, %s%s, SSRC 0x%08x", s.Num, s.Side, s.From, s.To, secure, text.Clean(codecs), s.SSRC)
}

// checkAudio refuses what does not go together.
func (c *exportCommand) checkAudio() error {
	switch {
	case c.audio == "" && len(c.streams) > 0:
		return usagef("try: --audio call.wav", "--stream is for --audio")
	case c.audio == "":
		return nil
	case c.out != "" || c.format != "" || c.together || c.hop != 0 || c.fast:
		return usagef("write them one after the other", "--audio writes a sound file and nothing else: "+
			"-o, --format, --together, --hop and --fast are for the others")
	case c.audio == "-" && term.IsTerminal(int(c.io.out.Fd())):
		return usagef("try: --audio call.wav, or pipe it: --audio - | aplay", "standard output is a terminal")
	}
	return nil
}

// audioError adds what the user can do.
func audioError(err error, out string) error {
	switch {
	case errors.Is(err, save.ErrExists), errors.Is(err, save.ErrInput):
		return exportError(err, out)
	case errors.Is(err, audio.ErrStream):
		return usageError{err: err, hint: "without --stream the answered conversation is written, and the others are listed"}
	case errors.Is(err, audio.ErrTooLong), leftOut(err):
		return nothingError{err.Error()}
	}
	return err
}
