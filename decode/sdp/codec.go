package sdp

// static is a payload type that needs no rtpmap (RFC 3551 6).
type static struct {
	name     string
	clock    uint32
	channels uint8
}

// statics has the static payload types by number.
var statics = [35]static{ //nolint:gochecknoglobals // read-only table
	0:  {"PCMU", 8000, 1},
	1:  {"1016", 8000, 1},
	2:  {"G721", 8000, 1},
	3:  {"GSM", 8000, 1},
	4:  {"G723", 8000, 1},
	5:  {"DVI4", 8000, 1},
	6:  {"DVI4", 16000, 1},
	7:  {"LPC", 8000, 1},
	8:  {"PCMA", 8000, 1},
	9:  {"G722", 8000, 1},
	10: {"L16", 44100, 2},
	11: {"L16", 44100, 1},
	12: {"QCELP", 8000, 1},
	13: {"CN", 8000, 1},
	14: {"MPA", 90000, 0},
	15: {"G728", 8000, 1},
	16: {"DVI4", 11025, 1},
	17: {"DVI4", 22050, 1},
	18: {"G729", 8000, 1},
	25: {"CelB", 90000, 0},
	26: {"JPEG", 90000, 0},
	28: {"nv", 90000, 0},
	31: {"H261", 90000, 0},
	32: {"MPV", 90000, 0},
	33: {"MP2T", 90000, 0},
	34: {"H263", 90000, 0},
}

// StaticPayload gives the encoding name and the clock rate in Hz of a static RTP payload type (RFC 3551 6); "" for one
// that is dynamic, reserved or unassigned.
func StaticPayload(pt int) (name string, clock uint32) {
	if pt < 0 || pt >= len(statics) {
		return "", 0
	}
	return statics[pt].name, statics[pt].clock
}

// Encoding gives name, clock rate in Hz and channels of a format: of its rtpmap, else of the static payload type. A
// format that is no RTP payload type is its own name; the name of a dynamic type without an rtpmap is empty. Channels
// is at least 1.
func (f *Format) Encoding() (name string, clock uint32, channels uint8) {
	switch {
	case f.Name != nil:
		name, clock, channels = string(f.Name), f.Clock, f.Channels
		if s, ok := f.static(); ok && clock == 0 {
			clock = s.clock
		}
	case f.PT < 0:
		name = string(f.Text)
	default:
		s, _ := f.static()
		name, clock, channels = s.name, s.clock, s.channels
	}
	return name, clock, max(1, channels)
}

func (f *Format) static() (static, bool) {
	if f.PT < 0 || int(f.PT) >= len(statics) {
		return static{}, false
	}
	return statics[f.PT], true
}

// TelephoneEvent reports whether the format carries DTMF digits and other events (RFC 4733).
func (f *Format) TelephoneEvent() bool { return equalFold(f.Name, "telephone-event") }

// comfort reports whether the format is comfort noise (RFC 3389), which is no codec to speak of.
func (f *Format) comfort() bool { return f.PT == 13 || equalFold(f.Name, "CN") }

// same reports whether two formats are one codec, under whatever payload types (RFC 3264 6.1).
func (f *Format) same(g *Format) bool {
	if f.PT < 0 || g.PT < 0 {
		return f.PT == g.PT && string(f.Text) == string(g.Text)
	}
	name, clock, channels := f.Encoding()
	name2, clock2, channels2 := g.Encoding()
	if name == "" || name2 == "" {
		return f.PT == g.PT && name == name2 // dynamic, and nobody says what it is
	}
	return equalFold([]byte(name), name2) && clock == clock2 && channels == channels2
}
