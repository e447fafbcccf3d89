package emodel

import (
	"math"
	"strings"
)

// Band is the scale of a rating.
type Band uint8

// Bands.
const (
	Narrowband Band = iota + 1 // 300 to 3400 Hz: G.107, R up to 93.2 by default
	Wideband                   // 50 to 7000 Hz: G.107.1, R up to 129
)

// String is "narrowband", "wideband" or "".
func (b Band) String() string {
	switch b {
	case Narrowband:
		return "narrowband"
	case Wideband:
		return "wideband"
	default:
		return ""
	}
}

// Basis says where a figure of the table comes from.
type Basis uint8

// Bases.
const (
	Published Basis = iota + 1 // G.113 (appendix I narrowband, appendix IV wideband) has it for this codec
	Borrowed                   // G.113 has none: that of a codec of the same kind, see docs/media.md
)

// String is "published", "borrowed" or "".
func (b Basis) String() string {
	switch b {
	case Published:
		return "published"
	case Borrowed:
		return "borrowed"
	default:
		return ""
	}
}

// Codec is a row of the table.
type Codec struct {
	Name     string // as ITU-T or 3GPP write it: "G.729A", "AMR 12.2"
	Band     Band
	Rate     float64 // kbit/s of the codec; 0 for any
	Ie       float64 // equipment impairment factor, on the scale of Band
	IeBasis  Basis
	Bpl      float64 // packet-loss robustness factor
	BplBasis Basis
}

// Robustness factors that others borrow. The lowest published one of the kind is taken, so that an estimate errs to the
// careful side.
const (
	bplPlain   = 4.3  // G.711 without concealment
	bplPCM     = 25.1 // G.711 with the concealment of its appendix I
	bplSpeech  = 10.0 // GSM-EFR: the lowest of the speech codecs that conceal by themselves
	bplWide    = 4.3  // G.722.2 at 12.65 kbit/s: the lowest of G.113 table IV.4
	rateMargin = 1.08 // a codec may take this much more than its rate: payload headers of RFC 4867 and the like
)

// row is a codec with the encoding names of SDP that it goes by.
type row struct {
	names string // upper case, separated by blanks
	clock uint32 // of RTP; 0 any
	Codec
}

// rows are the codecs, those of one name by rising rate. Ie: G.113 appendix I tables I.1 and I.2 (narrowband), appendix IV
// table IV.1 (wideband, one ear); Bpl: tables I.4 and IV.4.
//
//nolint:gochecknoglobals // a table that nobody changes
var rows = [...]row{
	{"PCMU", 0, Codec{"G.711", Narrowband, 64, 0, Published, bplPCM, Published}},
	{"PCMA", 0, Codec{"G.711", Narrowband, 64, 0, Published, bplPCM, Published}},
	{"L16", 8000, Codec{"L16", Narrowband, 128, 0, Borrowed, bplPCM, Borrowed}},
	{"L16", 16000, Codec{"L16", Wideband, 256, 0, Borrowed, bplWide, Borrowed}},
	{"G726-16 AAL2-G726-16", 0, Codec{"G.726-16", Narrowband, 16, 50, Published, bplPlain, Borrowed}},
	{"G726-24 AAL2-G726-24", 0, Codec{"G.726-24", Narrowband, 24, 25, Published, bplPlain, Borrowed}},
	{"G726-32 AAL2-G726-32 G721", 0, Codec{"G.726-32", Narrowband, 32, 7, Published, bplPlain, Borrowed}},
	{"G726-40 AAL2-G726-40", 0, Codec{"G.726-40", Narrowband, 40, 2, Published, bplPlain, Borrowed}},
	{"G728", 0, Codec{"G.728", Narrowband, 16, 7, Published, bplSpeech, Borrowed}},
	// RFC 3551 4.5.6: SDP does not tell G.729 (Ie 10) from G.729A, which can talk to each other; the Bpl is G.729A's.
	{"G729 G729A G729AB", 0, Codec{"G.729A", Narrowband, 8, 11, Published, 19, Published}},
	{"G723", 0, Codec{"G.723.1 5.3", Narrowband, 5.3, 19, Published, 16.1, Borrowed}},
	{"G723", 0, Codec{"G.723.1 6.3", Narrowband, 6.3, 15, Published, 16.1, Published}},
	{"GSM", 0, Codec{"GSM-FR", Narrowband, 13, 20, Published, bplSpeech, Borrowed}},
	{"GSM-HR-08", 0, Codec{"GSM-HR", Narrowband, 5.6, 23, Published, bplSpeech, Borrowed}},
	{"GSM-EFR", 0, Codec{"GSM-EFR", Narrowband, 12.2, 5, Published, bplSpeech, Published}},
	// RFC 3951 1: basic quality above G.729A, robust against loss as PCM with concealment.
	{"ILBC", 0, Codec{"iLBC", Narrowband, 15.2, 11, Borrowed, bplPCM, Borrowed}},
	// 3GPP TS 26.071: the 7.4 mode is IS-641 (Ie 10), the 12.2 mode is GSM-EFR (Ie 5); the modes between lie between. For
	// those below nothing is published, and there is no estimate.
	{"AMR", 0, Codec{"AMR 7.4", Narrowband, 7.4, 10, Borrowed, bplSpeech, Borrowed}},
	{"AMR", 0, Codec{"AMR 7.95", Narrowband, 7.95, 9, Borrowed, bplSpeech, Borrowed}},
	{"AMR", 0, Codec{"AMR 10.2", Narrowband, 10.2, 7, Borrowed, bplSpeech, Borrowed}},
	{"AMR", 0, Codec{"AMR 12.2", Narrowband, 12.2, 5, Borrowed, bplSpeech, Borrowed}},
	{"G722", 0, Codec{"G.722", Wideband, 64, 13, Published, bplWide, Borrowed}},
	{"G7221", 16000, Codec{"G.722.1 24", Wideband, 24, 19, Published, bplWide, Borrowed}},
	{"G7221", 16000, Codec{"G.722.1 32", Wideband, 32, 13, Published, bplWide, Borrowed}},
	{"AMR-WB", 0, Codec{"G.722.2 6.6", Wideband, 6.6, 41, Published, bplWide, Borrowed}},
	{"AMR-WB", 0, Codec{"G.722.2 8.85", Wideband, 8.85, 26, Published, bplWide, Borrowed}},
	{"AMR-WB", 0, Codec{"G.722.2 12.65", Wideband, 12.65, 13, Published, bplWide, Published}},
	{"AMR-WB", 0, Codec{"G.722.2 14.25", Wideband, 14.25, 10, Published, bplWide, Borrowed}},
	{"AMR-WB", 0, Codec{"G.722.2 15.85", Wideband, 15.85, 7, Published, bplWide, Borrowed}},
	{"AMR-WB", 0, Codec{"G.722.2 18.25", Wideband, 18.25, 5, Published, bplWide, Borrowed}},
	{"AMR-WB", 0, Codec{"G.722.2 19.85", Wideband, 19.85, 3, Published, bplWide, Borrowed}},
	{"AMR-WB", 0, Codec{"G.722.2 23.05", Wideband, 23.05, 1, Published, 4.6, Published}},
	{"AMR-WB", 0, Codec{"G.722.2 23.85", Wideband, 23.85, 8, Published, 4.9, Published}}, // 8 it is: worse than 23.05
	// Opus is not in G.113, EVS only on the fullband scale of G.107.2. At the same rate EVS and Opus are taken to be no better than AMR-WB, and nothing is said below 9.6.
	{"EVS", 0, Codec{"EVS from 9.6", Wideband, 9.6, 13, Borrowed, bplWide, Borrowed}},
	{"EVS", 0, Codec{"EVS from 13.2", Wideband, 13.2, 8, Borrowed, bplWide, Borrowed}},
	{"OPUS", 0, Codec{"Opus from 12", Wideband, 12, 13, Borrowed, bplWide, Borrowed}},
	{"OPUS", 0, Codec{"Opus from 20", Wideband, 20, 5, Borrowed, bplWide, Borrowed}},
}

// Lookup finds a codec by its encoding name in SDP, whatever its case, its RTP clock rate in Hz (0 unknown) and the rate of its
// payload in kbit/s as observed while it spoke (0 unknown), which tells the mode of codecs with several. False for a codec,
// or a mode, of which nothing is known: then there is no estimate. Of a codec with modes, none is taken when the rate is not
// known.
func Lookup(name string, clock uint32, rate float64) (Codec, bool) {
	best := Codec{}
	modes := 0
	for i := range rows {
		r := &rows[i]
		if !named(r.names, name) || r.clock != 0 && clock != 0 && r.clock != clock {
			continue
		}
		modes++
		// The fastest mode that the rate suffices for; the slowest one covers what lies a little below it.
		if best.Name == "" || rate >= r.Rate*0.98 {
			best = r.Codec
		}
	}
	switch {
	case modes == 0 || math.IsNaN(rate):
		return Codec{}, false
	case modes == 1:
		return best, true
	case rate <= 0 || rate < best.Rate*0.95:
		return Codec{}, false
	}
	return best, true
}

// WithoutPLC is G.711 whose receiver does not conceal losses (G.113 table I.4); other codecs conceal by themselves.
func (c Codec) WithoutPLC() Codec {
	if c.Name == "G.711" {
		c.Bpl = bplPlain
	}
	return c
}

// named reports whether a name is among names in upper case.
func named(names, name string) bool {
	for names != "" {
		one, rest, _ := strings.Cut(names, " ")
		if strings.EqualFold(one, name) {
			return true
		}
		names = rest
	}
	return false
}
