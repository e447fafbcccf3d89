package media

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// ErrWAV says that a file is no WAV file, or one that cannot be played.
var ErrWAV = errors.New("not a WAV file that can be played")

// Formats of a WAV file (RFC 2361, and the registry of wFormatTag).
const (
	wavPCM        = 1
	wavALaw       = 6
	wavMuLaw      = 7
	wavExtensible = 0xfffe // the format stands in the first two bytes of a GUID
)

// Limits of what is read.
const (
	maxWAVRate     = 384_000
	maxWAVChannels = 8
	maxWAVSeconds  = 3600 // 57.6 MB of sound
	wavBlock       = 1 << 16
	maxWAVChunks   = 1000 // before the sound; what claims more is no recording
)

// wavFormat is a fmt chunk.
type wavFormat struct {
	format, channels, bits int
	rate                   int // Hz
	align                  int // bytes of a sample of all channels
}

// ReadWAV reads a WAV file: PCM of 8 or 16 bits or G.711, one to eight channels, which are mixed, at any rate up to
// 384 kHz. What is not 8 kHz is interpolated, after an average over the samples that fall together. The first hour is
// read. A file that is cut short gives what it has.
func ReadWAV(r io.Reader) (Sound, error) {
	var head [12]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return nil, fmt.Errorf("%w: %w at byte 0", ErrWAV, err)
	}
	if string(head[:4]) != "RIFF" || string(head[8:]) != "WAVE" {
		return nil, fmt.Errorf("%w: expected RIFF and WAVE at byte 0, got %q and %q", ErrWAV, head[:4], head[8:])
	}
	var f wavFormat
	offset := int64(len(head))
	for range maxWAVChunks {
		var chunk [8]byte
		if _, err := io.ReadFull(r, chunk[:]); err != nil {
			return nil, fmt.Errorf("%w: no data chunk up to byte %d: %w", ErrWAV, offset, err)
		}
		offset += int64(len(chunk))
		id, size := string(chunk[:4]), int64(binary.LittleEndian.Uint32(chunk[4:]))
		switch id {
		case "data":
			if f.rate == 0 {
				return nil, fmt.Errorf("%w: data before fmt at byte %d", ErrWAV, offset)
			}
			return f.read(io.LimitReader(r, size))
		case "fmt ":
			if err := f.parse(io.LimitReader(r, size)); err != nil {
				return nil, fmt.Errorf("%w at byte %d", err, offset)
			}
			offset += min(size, fmtBytes)
			size = max(size-fmtBytes, 0) + size&1
		default:
			size += size & 1 // chunks begin at even bytes
		}
		if _, err := io.CopyN(io.Discard, r, size); err != nil {
			return nil, fmt.Errorf("%w: chunk %q at byte %d wants %d bytes more: %w", ErrWAV, id, offset, size, err)
		}
		offset += size
	}
	return nil, fmt.Errorf("%w: no data in %d chunks", ErrWAV, maxWAVChunks)
}

// fmtBytes is what is read of a fmt chunk: up to the GUID's first two bytes, when it has one.
const fmtBytes = 26

// parse reads a fmt chunk:
//
//	0 format  2 channels  4 rate  8 bytes a second  12 align  14 bits  16 size of more  18 valid bits  20 mask  24 GUID
func (f *wavFormat) parse(r io.Reader) error {
	var b [fmtBytes]byte
	n, err := io.ReadFull(r, b[:])
	if n < 16 {
		return fmt.Errorf("%w: fmt chunk of %d bytes: %w", ErrWAV, n, err)
	}
	f.format, f.channels = int(binary.LittleEndian.Uint16(b[:])), int(binary.LittleEndian.Uint16(b[2:]))
	f.bits = int(binary.LittleEndian.Uint16(b[14:]))
	rate := binary.LittleEndian.Uint32(b[4:])
	if f.format == wavExtensible && n == fmtBytes {
		f.format = int(binary.LittleEndian.Uint16(b[24:]))
	}
	known := f.bits == 8 && (f.format == wavALaw || f.format == wavMuLaw) || f.format == wavPCM && (f.bits == 8 || f.bits == 16)
	if !known {
		return fmt.Errorf("%w: format %d with %d bits is none of PCM with 8 or 16, A-law, µ-law", ErrWAV, f.format, f.bits)
	}
	if f.channels < 1 || f.channels > maxWAVChannels || rate < 1 || rate > maxWAVRate {
		return fmt.Errorf("%w: %d channels at %d Hz", ErrWAV, f.channels, rate)
	}
	f.rate, f.align = int(rate), f.channels*f.bits/8
	return nil
}

// read reads the sound.
func (f *wavFormat) read(r io.Reader) (Sound, error) {
	rs := resampler{from: f.rate}
	buf := make([]byte, wavBlock/f.align*f.align)
	for {
		n, err := io.ReadFull(r, buf)
		for at := 0; at+f.align <= n; at += f.align {
			rs.add(f.sample(buf[at : at+f.align]))
		}
		switch {
		case len(rs.out) >= maxWAVSeconds*Rate:
			return rs.out[:maxWAVSeconds*Rate], nil
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
			return rs.finish(), nil
		case err != nil:
			return nil, fmt.Errorf("sound: %w", err)
		}
	}
}

// sample mixes the channels of one sample.
func (f *wavFormat) sample(b []byte) int {
	sum := 0
	for c := range f.channels {
		switch {
		case f.bits == 16:
			sum += int(int16(binary.LittleEndian.Uint16(b[2*c:]))) //nolint:gosec // The bits of a sample.
		case f.format == wavALaw:
			sum += int(decodeA(b[c]))
		case f.format == wavMuLaw:
			sum += int(decodeU(b[c]))
		default:
			sum += (int(b[c]) - 128) << 8 // 8 bits are unsigned
		}
	}
	return sum / f.channels
}

// resampler makes 8,000 samples a second of any number. Higher rates are averaged first, down to at most twice 8,000, so
// that the higher half of their band does not fold into the lower.
type resampler struct {
	from int // Hz
	out  Sound

	sum, count int // of samples that become one
	last       int
	phase      int // position of the next sample behind last, in 1/8000 of an input step
	started    bool
}

func (r *resampler) add(s int) {
	group := max(r.from/Rate, 1)
	r.sum, r.count = r.sum+s, r.count+1
	if r.count < group {
		return
	}
	s = r.sum / group
	r.sum, r.count = 0, 0
	if !r.started {
		r.started, r.last = true, s
		return
	}
	step := r.from / group // samples a second that come here; one output is step/8000 of them
	if r.from%group != 0 {
		step = (r.from + group/2) / group
	}
	for r.phase < Rate && len(r.out) < maxWAVSeconds*Rate {
		r.out = append(r.out, int16(r.last+(s-r.last)*r.phase/Rate)) //nolint:gosec // Between two samples of 16 bits.
		r.phase += step
	}
	r.phase = max(r.phase-Rate, 0)
	r.last = s
}

// finish gives what came out; the last sample stands for itself.
func (r *resampler) finish() Sound {
	if r.started {
		r.out = append(r.out, int16(r.last)) //nolint:gosec // An average of samples of 16 bits.
	}
	return r.out
}

// WriteWAV writes sound as PCM of 16 bits, one channel, 8 kHz.
func WriteWAV(w io.Writer, sound Sound) error {
	const header = 44
	if len(sound) > maxWAVSeconds*Rate {
		sound = sound[:maxWAVSeconds*Rate]
	}
	size := uint32(2 * len(sound)) //nolint:gosec // At most an hour.
	b := make([]byte, 0, header+wavBlock)
	b = binary.LittleEndian.AppendUint32(append(b, "RIFF"...), header-8+size)
	b = binary.LittleEndian.AppendUint32(append(b, "WAVEfmt "...), 16)
	b = binary.LittleEndian.AppendUint16(binary.LittleEndian.AppendUint16(b, wavPCM), 1)
	b = binary.LittleEndian.AppendUint32(binary.LittleEndian.AppendUint32(b, Rate), 2*Rate)
	b = binary.LittleEndian.AppendUint16(binary.LittleEndian.AppendUint16(b, 2), 16)
	b = binary.LittleEndian.AppendUint32(append(b, "data"...), size)
	for _, s := range sound {
		if b = binary.LittleEndian.AppendUint16(b, uint16(s)); len(b) >= wavBlock { //nolint:gosec // The bits.
			if _, err := w.Write(b); err != nil {
				return fmt.Errorf("sound: %w", err)
			}
			b = b[:0]
		}
	}
	if _, err := w.Write(b); err != nil {
		return fmt.Errorf("sound: %w", err)
	}
	return nil
}
