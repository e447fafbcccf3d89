package media

import (
	"fmt"
	"math"
	"time"
)

// Source gives sound, 16 bits, 8,000 samples a second.
type Source interface {
	// Read fills dst. Fewer samples than that mean that the sound is over.
	Read(dst []int16) int
}

// Sound is a piece of sound, 8,000 samples a second. Many streams may play one at a time.
type Sound []int16

// Duration is how long it lasts.
func (s Sound) Duration() time.Duration { return time.Duration(len(s)) * time.Second / Rate }

// Play gives the sound from its beginning on, again and again when loop is set.
func (s Sound) Play(loop bool) Source { return &player{sound: s, loop: loop && len(s) > 0} }

// player is a position in a Sound.
type player struct {
	sound Sound
	at    int
	loop  bool
}

// Read fills dst.
func (p *player) Read(dst []int16) int {
	n := 0
	for n < len(dst) {
		if p.at == len(p.sound) {
			if !p.loop {
				break
			}
			p.at = 0
		}
		got := copy(dst[n:], p.sound[p.at:])
		n, p.at = n+got, p.at+got
	}
	return n
}

// Silence is a Source without sound and without end.
type Silence struct{}

// Read fills dst.
func (Silence) Read(dst []int16) int {
	clear(dst)
	return len(dst)
}

// Limits of a tone.
const (
	maxTones  = 8
	toneLevel = 0.25 * math.MaxInt16 // -12 dB of full scale, shared by the frequencies
)

// tone is the sum of sines. Each is the recurrence y[n] = 2·cos(ω)·y[n-1] - y[n-2]: no sine per sample.
type tone struct {
	waves []wave
	left  int64 // samples; -1: no end
}

type wave struct{ k, y1, y2 float64 }

// Tone gives the sum of one to eight frequencies in Hz, such as 440, or 697 and 1209 for the digit 1; for ever when d is
// 0. It fails for frequencies that 8,000 samples a second cannot carry.
func Tone(d time.Duration, hz ...float64) (Source, error) {
	if len(hz) == 0 || len(hz) > maxTones {
		return nil, fmt.Errorf("tone of %d frequencies: expected 1 to %d", len(hz), maxTones)
	}
	t := &tone{left: -1}
	if d > 0 {
		t.left = samples(d)
	}
	level := toneLevel / float64(len(hz))
	for _, f := range hz {
		if !(f > 0 && f < Rate/2) { // NaN is none
			return nil, fmt.Errorf("tone of %g Hz: expected more than 0 and less than %d", f, Rate/2)
		}
		w := 2 * math.Pi * f / Rate
		t.waves = append(t.waves, wave{k: 2 * math.Cos(w), y1: -level * math.Sin(w), y2: -level * math.Sin(2*w)})
	}
	return t, nil
}

// samples is how many samples last d.
func samples(d time.Duration) int64 {
	return int64(d/time.Second)*Rate + int64(d%time.Second)*Rate/int64(time.Second)
}

// Read fills dst.
func (t *tone) Read(dst []int16) int {
	if t.left >= 0 {
		dst = dst[:min(int64(len(dst)), t.left)]
		t.left -= int64(len(dst))
	}
	for i := range dst {
		sum := 0.0
		for j := range t.waves {
			w := &t.waves[j]
			y := w.k*w.y1 - w.y2
			w.y2, w.y1 = w.y1, y
			sum += y
		}
		dst[i] = int16(sum) // to the nearest would be no better: G.711 is coarser
	}
	return len(dst)
}
