package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"sipscope/capture"
	"sipscope/correlate"
	"sipscope/correlate/cut"
	"sipscope/element/replay/plan"
	"sipscope/render/save"
)

// recordedMedia cuts the RTP that the calls' SDP names out of the capture.
func (c *replayCommand) recordedMedia(
	ctx context.Context, a *archive, calls []correlate.Call, text func(call, message int) []byte,
) ([]cut.Stream, error) {
	frames, err := a.door.frames.Frames()
	if err != nil {
		return nil, fmt.Errorf("media: %w", err)
	}
	defer frames.Close()
	recorded, err := cut.Cut(ctx, frames, calls, text, cut.Options{})
	if err != nil && !errors.Is(err, capture.ErrDamaged) { // damage was told
		return nil, fmt.Errorf("media: %w", err)
	}
	if !recorded.Counts.Complete() {
		c.say("not all RTP is played: %d packets are beyond what is kept", recorded.Counts.Left+recorded.Counts.Streamless)
	}
	return recorded.Streams, nil
}

// saveMedia writes the packets of a plan's streams into a file beside it, which other tools read, too.
func saveMedia(ctx context.Context, p *plan.Plan, path string) error {
	p.MediaFile = ""
	if !slices.ContainsFunc(p.Media, func(s plan.Stream) bool { return len(s.Packets) > 0 }) {
		return nil
	}
	name := strings.TrimSuffix(filepath.Base(path), filepath.Ext(path)) + ".rtp.pcapng"
	if err := save.File(ctx, filepath.Join(filepath.Dir(path), name), true, nil, p.WriteMedia); err != nil {
		return fmt.Errorf("--save-plan: %w", err)
	}
	p.MediaFile = name
	return nil
}

// loadMedia reads the packets of a plan's streams from the file beside it.
func loadMedia(p *plan.Plan, path string) error {
	if strings.ContainsAny(p.MediaFile, `/\`) || p.MediaFile == ".." {
		return fmt.Errorf("%s: media file %q is no name of a file beside it", path, p.MediaFile)
	}
	name := filepath.Join(filepath.Dir(path), p.MediaFile)
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	return p.ReadMedia(bufio.NewReader(f), name)
}
