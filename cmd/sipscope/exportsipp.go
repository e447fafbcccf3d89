package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"sipscope/correlate"
	"sipscope/correlate/cut"
	"sipscope/render/save"
	sippxml "sipscope/render/sipp"
)

// sippFormat is a format of two files and more, so it is none of package save's.
const (
	sippFormat = "sipp"
	sippAbout  = "a call as two scenarios that SIPp runs: OUT-uac.xml and OUT-uas.xml, with its media"
)

// runSIPP writes one call as scenarios for SIPp.
func (c *exportCommand) runSIPP(ctx context.Context, a *archive) error {
	if c.out == "-" {
		return usagef("try: -o call", "SIPp needs several files: they cannot go to standard output")
	}
	nums, err := c.chosen(a)
	if err != nil {
		return err
	}
	if len(nums) != 1 {
		return usagef("name one with --call N", "%d calls: a scenario plays one", len(nums))
	}
	call, ok := a.board.Call(nums[0])
	if !ok {
		return nothingError{"the call is no longer kept"}
	}
	calls := []correlate.Call{call}
	texts, failed := a.texts(calls)
	o := sippxml.Options{Name: filepath.Base(c.out), Source: a.source(), Hop: c.hop, Fast: c.fast}
	if o.Media, err = c.cutMedia(ctx, a, calls, texts); err != nil {
		return err
	}
	pair, err := sippxml.Build(&calls[0], func(message int) []byte { return texts(0, message) }, o)
	if why := failed(); why != nil {
		return why
	}
	if err != nil {
		return sippError(err)
	}
	if err = c.writeSIPP(ctx, a, pair); err != nil {
		return err
	}
	c.tellSIPP(pair)
	return a.err
}

// cutMedia reads the captures once more for the RTP of the call.
func (c *exportCommand) cutMedia(ctx context.Context, a *archive, calls []correlate.Call, texts cut.Text) ([]cut.Stream, error) {
	if a.door.frames.Frames == nil {
		return nil, nil
	}
	frames, err := a.door.frames.Frames()
	if err != nil {
		return nil, err
	}
	defer frames.Close()
	recorded, err := cut.Cut(ctx, frames, calls, texts, cut.Options{})
	if recorded == nil {
		return nil, err
	}
	if err != nil && a.err == nil {
		return nil, err // a damaged input was told when it was read first
	}
	if !recorded.Counts.Complete() && !c.quiet {
		fmt.Fprintf(c.io.err, "media is not whole: %d packets were too many\n", recorded.Counts.Left+recorded.Counts.Streamless)
	}
	return recorded.Streams, nil
}

// writeSIPP writes the files: first what the scenarios name, then them.
func (c *exportCommand) writeSIPP(ctx context.Context, a *archive, pair *sippxml.Pair) error {
	var files []sippxml.File
	for _, s := range []struct {
		*sippxml.Scenario
		ending string
	}{{&pair.UAC, "-uac.xml"}, {&pair.UAS, "-uas.xml"}} {
		files = append(files, s.Files...)
		files = append(files, sippxml.File{Name: filepath.Base(c.out) + s.ending, Data: s.XML})
	}
	for _, f := range files { // all of them, or none
		path := filepath.Join(filepath.Dir(c.out), f.Name)
		if _, err := os.Lstat(path); err == nil && !c.force {
			return exportError(save.ErrExists, path)
		}
	}
	for _, f := range files {
		path := filepath.Join(filepath.Dir(c.out), f.Name)
		err := save.File(ctx, path, c.force, a.door.frames.Includes, func(w io.Writer) error {
			_, err := w.Write(f.Data)
			return err
		})
		if err != nil {
			return exportError(err, path)
		}
	}
	return nil
}

// tellSIPP says what was written, what is otherwise than recorded, and how it is run.
func (c *exportCommand) tellSIPP(pair *sippxml.Pair) {
	for _, s := range []struct {
		*sippxml.Scenario
		ending string
	}{{&pair.UAC, "-uac.xml"}, {&pair.UAS, "-uas.xml"}} {
		fmt.Fprintf(c.io.err, "%s as %s saw it: %s\n", c.out+s.ending, s.Who, plural(s.Messages, "message"))
		for _, f := range s.Files {
			fmt.Fprintf(c.io.err, "%s\n", filepath.Join(filepath.Dir(c.out), f.Name))
		}
		for _, n := range s.Notes {
			fmt.Fprintf(c.io.err, "  %s\n", n)
		}
	}
	if pair.Apart != "" {
		fmt.Fprintf(c.io.err, "the two cannot be run against each other: %s\n", pair.Apart)
		for i, h := range pair.Hops {
			if c.hop == 0 && len(pair.Hops) > 1 {
				fmt.Fprintf(c.io.err, "  --hop %d takes both from %s and %s\n", i+1, h.From, h.To)
			}
		}
	}
}

// sippError adds what the user can do.
func sippError(err error) error {
	switch {
	case errors.Is(err, sippxml.ErrHop):
		return usageError{err: err, hint: "the hops are the pairs of participants, in the order of: sipscope flow"}
	case errors.Is(err, sippxml.ErrName):
		return usageError{err: err, hint: "try: -o call"}
	case errors.Is(err, sippxml.ErrTooLong):
		return usageError{err: err, hint: "SIPp cannot run so long a call"}
	case errors.Is(err, sippxml.ErrNoRequest):
		return nothingError{err.Error()}
	}
	return err
}
