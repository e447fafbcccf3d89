package chart

import (
	"math"
	"strconv"
	"testing"

	"sipscope/correlate"
)

func TestClassOf(t *testing.T) {
	t.Parallel()
	want := map[correlate.State]class{
		correlate.StateUnknown: inProgress, correlate.StateCalling: inProgress, correlate.StateRinging: inProgress,
		correlate.StatePending: inProgress, correlate.StateAnswered: succeeded, correlate.StateCompleted: succeeded,
		correlate.StateSucceeded: succeeded, correlate.StateRegistered: succeeded,
		correlate.StateUnregistered: succeeded, correlate.StateSubscribed: succeeded,
		correlate.StateTerminated: succeeded, correlate.StateCancelled: refused, correlate.StateBusy: refused,
		correlate.StateDeclined: refused, correlate.StateNotFound: refused, correlate.StateRedirected: refused,
		correlate.StateChallenged: refused, correlate.StateFailed: failed, correlate.StateTimedOut: failed,
	}
	for _, s := range correlate.States() {
		c, known := want[s]
		if !known {
			t.Errorf("state %s has no class in this table: choose one", s)
			continue
		}
		if got := classOf(s); got != c {
			t.Errorf("%s is %s, want %s", s, got, c)
		}
		if got := stateColour(s.String()); got != c.colour() {
			t.Errorf("%s has colour %s, want that of %s", s, got, c)
		}
	}
	if got := stateColour("no such state"); got != colourNeutral {
		t.Errorf("a state of no known name has colour %s", got)
	}
	if got := classOf(255); got != inProgress {
		t.Errorf("a state of no known number is %s", got)
	}
}

func TestStatusColour(t *testing.T) {
	t.Parallel()
	for status, want := range map[int]string{
		-1: colourNeutral, 0: colourNeutral, 99: colourNeutral, 100: colourInProgress, 183: colourInProgress,
		200: colourSucceeded, 299: colourSucceeded, 302: colourRefused, 400: colourFailed, 401: colourRefused,
		404: colourRefused, 407: colourRefused, 408: colourFailed, 486: colourRefused, 487: colourRefused,
		503: colourFailed, 600: colourRefused, 603: colourRefused, 699: colourFailed, 700: colourNeutral,
	} {
		if got := statusColour(status); got != want {
			t.Errorf("%d has colour %s, want %s", status, got, want)
		}
	}
}

// vision is how a person sees colours: a matrix over linear RGB, of Machado, Oliveira and Fernandes (2009), severity 1.
type vision struct {
	name string
	m    [3][3]float64
}

var visions = []vision{
	{"trichromat", [3][3]float64{{1, 0, 0}, {0, 1, 0}, {0, 0, 1}}},
	{"protanopia", [3][3]float64{
		{0.152286, 1.052583, -0.204868}, {0.114503, 0.786281, 0.099216}, {-0.003882, -0.048116, 1.051998},
	}},
	{"deuteranopia", [3][3]float64{
		{0.367322, 0.860646, -0.227968}, {0.280085, 0.672501, 0.047413}, {-0.011820, 0.042940, 0.968881},
	}},
	{"tritanopia", [3][3]float64{
		{1.255528, -0.076749, -0.178779}, {-0.078411, 0.930809, 0.147602}, {0.004733, 0.691367, 0.303900},
	}},
}

// linear gives a colour's red, green and blue without gamma, 0 to 1.
func linear(t *testing.T, colour string) (rgb [3]float64) {
	t.Helper()
	n, err := strconv.ParseUint(colour[1:], 16, 32)
	if err != nil || len(colour) != 7 {
		t.Fatalf("colour %q: %v", colour, err)
	}
	for i := range rgb {
		v := float64(n>>(16-8*i)&255) / 255
		if rgb[i] = v / 12.92; v > 0.04045 {
			rgb[i] = math.Pow((v+0.055)/1.055, 2.4)
		}
	}
	return rgb
}

func luminance(c [3]float64) float64 { return 0.2126*c[0] + 0.7152*c[1] + 0.0722*c[2] }

// lab gives CIE L*a*b* (D65) of what a person sees of a colour.
func (v vision) lab(c [3]float64) (lab [3]float64) {
	var seen [3]float64
	for i := range seen {
		seen[i] = min(max(v.m[i][0]*c[0]+v.m[i][1]*c[1]+v.m[i][2]*c[2], 0), 1)
	}
	f := func(t float64) float64 {
		if t > 216.0/24389 {
			return math.Cbrt(t)
		}
		return (24389.0/27*t + 16) / 116
	}
	x := f((0.4124*seen[0] + 0.3576*seen[1] + 0.1805*seen[2]) / 0.95047)
	y := f(luminance(seen))
	z := f((0.0193*seen[0] + 0.1192*seen[1] + 0.9505*seen[2]) / 1.08883)
	return [3]float64{116*y - 16, 500 * (x - y), 200 * (y - z)}
}

func TestColours(t *testing.T) {
	t.Parallel()
	all := []string{colourSucceeded, colourInProgress, colourRefused, colourFailed, colourNeutral}
	for _, c := range all {
		for _, back := range []string{"#ffffff", "#14181f"} {
			a, b := luminance(linear(t, c))+0.05, luminance(linear(t, back))+0.05
			if ratio := max(a, b) / min(a, b); ratio < 3 {
				t.Errorf("contrast of %s on %s is %.2f, want 3 or more (WCAG 2.2, 1.4.11)", c, back, ratio)
			}
		}
	}
	classColours := all[:classes]
	for _, v := range visions {
		for i, a := range classColours {
			for _, b := range classColours[:i] {
				p, q := v.lab(linear(t, a)), v.lab(linear(t, b))
				d := math.Hypot(math.Hypot(p[0]-q[0], p[1]-q[1]), p[2]-q[2])
				if d < 30 {
					t.Errorf("with %s, %s and %s are %.1f apart, want 30 or more", v.name, a, b, d)
				}
			}
		}
	}
}
