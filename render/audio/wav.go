package audio

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"math"
)

// A WAV file: RIFF, a fmt chunk of PCM, a data chunk; all numbers little-endian.
const (
	headerBytes  = 44
	sampleBytes  = 2
	blockSamples = 4096 // of a channel, written at once
)

// WriteWAV writes the recording as a WAV file of 16 bit PCM. The length is known before the first byte, so w need not be a
// file. Memory does not grow with the length. It may be called again. It ends soon after ctx does, with its cause.
func (r *Recording) WriteWAV(ctx context.Context, w io.Writer) error {
	if _, err := w.Write(r.header()); err != nil {
		return err
	}
	channels := make([][]*resampler, len(r.sources))
	for i, sources := range r.sources {
		for _, rate := range rates(sources) {
			channels[i] = append(channels[i], newResampler(newTrack(rate, sources), int64(r.Rate)))
		}
	}
	sum, scratch := make([]int32, blockSamples), make([]int16, blockSamples)
	block := make([]byte, blockSamples*sampleBytes*len(channels))
	for at := int64(0); at < r.Frames; at += blockSamples {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		n := int(min(blockSamples, r.Frames-at))
		for i, tracks := range channels {
			clear(sum)
			for _, t := range tracks {
				t.add(sum[:n], scratch)
			}
			for k, v := range sum[:n] {
				binary.LittleEndian.PutUint16(block[(k*len(channels)+i)*sampleBytes:], uint16(int16(saturate(v)))) //nolint:gosec // Two's complement.
			}
		}
		if _, err := w.Write(block[:n*sampleBytes*len(channels)]); err != nil {
			return err
		}
	}
	return nil
}

// header is the header of the file.
func (r *Recording) header() []byte {
	align := len(r.sources) * sampleBytes
	size := uint32(r.Bytes()) //nolint:gosec // checkLength holds it below 4 GiB.
	h := make([]byte, 0, headerBytes)
	h = append(h, "RIFF"...)
	h = binary.LittleEndian.AppendUint32(h, headerBytes-8+size)
	h = append(h, "WAVEfmt "...)
	h = binary.LittleEndian.AppendUint32(h, 16)
	h = binary.LittleEndian.AppendUint16(h, 1)                      // PCM
	h = binary.LittleEndian.AppendUint16(h, uint16(len(r.sources))) //nolint:gosec // One or two.
	h = binary.LittleEndian.AppendUint32(h, uint32(r.Rate))         //nolint:gosec // At most maxRate.
	h = binary.LittleEndian.AppendUint32(h, uint32(r.Rate*align))   //nolint:gosec // At most 4 times maxRate.
	h = binary.LittleEndian.AppendUint16(h, uint16(align))          //nolint:gosec // Two or four.
	h = binary.LittleEndian.AppendUint16(h, 8*sampleBytes)
	h = append(h, "data"...)
	return binary.LittleEndian.AppendUint32(h, size)
}

// Bytes is the length of the samples, without the header.
func (r *Recording) Bytes() int64 { return r.Frames * int64(len(r.sources)) * sampleBytes }

// Bounds of a recording.
const (
	maxBytes   = math.MaxUint32 - headerBytes // a chunk states its length in 32 bits
	longSparse = 6 * 3600e9                   // ns, from which on silence is looked at
	bigSparse  = 256 << 20                    // bytes, likewise: 2.3 h of a telephone call
	sparse     = 100                          // a recording as long, or as big, has sound in one part of so many
)

// checkLength refuses what no WAV file can hold, and what a few packets with odd times claim.
func (r *Recording) checkLength(sound int64) error {
	if r.Bytes() > maxBytes {
		return fmt.Errorf("%w: %.1f h of %d channels at %d Hz are %.1f GiB, and a WAV file holds 4",
			ErrTooLong, float64(r.Frames)/float64(r.Rate)/3600, len(r.sources), r.Rate, float64(r.Bytes())/(1<<30))
	}
	length := nanos(r.Frames, int64(r.Rate))
	if (length > longSparse || r.Bytes() > bigSparse) && sound < length/sparse {
		return fmt.Errorf("%w: the packets hold %.1f s of sound, and their times lie %.1f h apart",
			ErrTooLong, float64(sound)/1e9, float64(length)/3600e9)
	}
	return nil
}
