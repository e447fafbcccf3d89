package emodel

import (
	"math"
	"strings"
	"testing"
)

// near reports whether two figures agree to within eps.
func near(a, b, eps float64) bool { return math.Abs(a-b) <= eps }

// TestDefaults holds the published result of the default values: R = 93.2, MOS 4.41 (G.107 7.7, annex B), and the terms that
// they come from.
func TestDefaults(t *testing.T) {
	t.Parallel()
	p := Defaults()
	if no := p.noise(); !near(no, -61.17921438624169, 1e-9) {
		t.Errorf("No = %v, want -61.1792 dBm0p", no)
	}
	f := p.Rate()
	for name, v := range map[string][2]float64{
		"Ro": {f.Ro, 94.7688}, "Is": {f.Is, 1.4136}, "Id": {f.Delay, 0.1488}, "IeEff": {f.IeEff, 0}, "R": {f.R, 93.2064},
		"MOS": {MOS(f.R, Narrowband), 4.4094},
	} {
		if !near(v[0], v[1], 1e-3) {
			t.Errorf("%s = %.5f, want %.4f", name, v[0], v[1])
		}
	}
}

// TestAnnexB holds table B.1 of G.107: lower limits of R with their MOS.
func TestAnnexB(t *testing.T) {
	t.Parallel()
	for r, want := range map[float64]float64{90: 4.34, 80: 4.03, 70: 3.60, 60: 3.10, 50: 2.58, 0: 1, -5: 1, 100: 4.5, 120: 4.5} {
		if got := MOS(r, Narrowband); !near(got, want, 0.0065) { // the table has 4.03 for 4.024
			t.Errorf("MOS(%v) = %.4f, want %.2f", r, got, want)
		}
	}
	if got := MOS(math.NaN(), Narrowband); got != 1 {
		t.Errorf("MOS(NaN) = %v, want 1", got)
	}
	for r := -10.0; r < 140; r += 0.25 {
		for _, b := range []Band{Narrowband, Wideband} {
			if m := MOS(r, b); m < 1 || m > 4.5 || m < MOS(r-0.25, b)-1e-9 {
				t.Fatalf("MOS(%v, %v) = %v: out of 1 to 4.5, or falling", r, b, m)
			}
		}
	}
}

// TestLoss holds figures of Ie,eff for codecs under loss, worked out by hand from (7-29) and the tables of G.113.
func TestLoss(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name                       string
		ie, bpl, ppl, burst, ieEff float64
	}{
		{"no loss", 11, 19, 0, 1, 11},
		{"G.711 with concealment, 1 %", 0, 25.1, 1, 1, 95.0 / 26.1},
		{"G.711 without, 1 %", 0, 4.3, 1, 1, 95 / 5.3},
		{"G.711 without, 2 %", 0, 4.3, 2, 1, 190 / 6.3},
		{"G.729A, 2 %", 11, 19, 2, 1, 11 + 84*2.0/21},
		{"G.729A, 2 % in bursts", 11, 19, 2, 2, 11 + 84*2.0/20},
		{"G.723.1, 3 %", 15, 16.1, 3, 1, 15 + 80*3/19.1},
		{"all", 0, 4.3, 100, 1, 95 * 100 / 104.3},
	} {
		if got := IeEff(test.ie, test.bpl, test.ppl, test.burst); !near(got, test.ieEff, 1e-9) {
			t.Errorf("%s: Ie,eff = %v, want %v", test.name, got, test.ieEff)
		}
	}
}

// TestDelay holds the delay impairment: nothing up to 100 ms, then growing; the curve of G.114 falls to about R = 85 at 250 ms
// and to about 64 at 500 ms.
func TestDelay(t *testing.T) {
	t.Parallel()
	for ta, want := range map[float64]float64{0: 0, 100: 0, 150: 0.16, 200: 3.04, 400: 24.07} {
		if got := delay(ta, 1, 100); !near(got, want, 0.02) {
			t.Errorf("Idd(%v ms) = %.3f, want %.2f", ta, got, want)
		}
	}
	p := Defaults()
	before := p.Rate().R
	for ms := 10.0; ms <= 1000; ms += 10 {
		p.T, p.Ta, p.Tr = ms, ms, 2*ms
		r := p.Rate().R
		if r > before+1e-9 {
			t.Fatalf("R rises at %v ms: %v after %v", ms, r, before)
		}
		before = r
	}
}

// TestSidetone takes the branches for unusual sidetone.
func TestSidetone(t *testing.T) {
	t.Parallel()
	for _, stmr := range []float64{5, 8, 15, 21, 30} {
		p := Defaults()
		p.STMR, p.LSTR, p.T, p.Ta, p.Tr = stmr, 0, 50, 50, 100
		if r := p.Rate().R; stmr == 15 && r < 90 || stmr != 15 && (r > 93 || r < 40) {
			t.Errorf("STMR %v: R = %v", stmr, r)
		}
	}
}

// TestWideband holds the scale of G.107.1: 129 is perfect and R/1.29 goes into the narrowband formula (annex A).
func TestWideband(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		clock  uint32
		rate   float64
		r, mos float64
	}{
		{"L16", 16000, 256, 129, 4.5},
		{"AMR-WB", 16000, 23.05, 128, 4.4940},
		{"AMR-WB", 16000, 23.85, 121, 4.4206},
		{"AMR-WB", 16000, 12.65, 116, 4.3371},
		{"AMR-WB", 16000, 6.6, 88, 3.5123},
		{"G722", 8000, 64, 116, 4.3371},
	} {
		c, ok := Lookup(test.name, test.clock, test.rate)
		if !ok {
			t.Errorf("%s %v: not found", test.name, test.rate)
			continue
		}
		res, _ := Estimate(&Input{Codec: c})
		if !near(res.R, test.r, 1e-9) || !near(res.MOS, test.mos, 5e-4) || res.Band != Wideband {
			t.Errorf("%s %v: R %v MOS %v, want %v %v", test.name, test.rate, res.R, res.MOS, test.r, test.mos)
		}
	}
}

func TestLookup(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name  string
		clock uint32
		rate  float64
		want  string // "" for none
	}{
		{"PCMU", 8000, 0, "G.711"},
		{"pcma", 8000, 64, "G.711"},
		{"PCMA", 0, 0, "G.711"},
		{"G729", 8000, 2.1, "G.729A"}, // mostly silence
		{"G723", 8000, 6.4, "G.723.1 6.3"},
		{"G723", 8000, 5.33, "G.723.1 5.3"},
		{"G723", 8000, 0, ""},
		{"AMR", 8000, 12.8, "AMR 12.2"},
		{"AMR", 8000, 7.9, "AMR 7.95"},
		{"AMR", 8000, 4.75, ""},
		{"AMR-WB", 16000, 24.4, "G.722.2 23.85"},
		{"AMR-WB", 16000, 13.2, "G.722.2 12.65"},
		{"opus", 48000, 32, "Opus from 20"},
		{"opus", 48000, 6, ""},
		{"opus", 48000, math.NaN(), ""},
		{"L16", 16000, 0, "L16"},
		{"L16", 44100, 0, ""},
		{"speex", 8000, 8, ""},
		{"", 0, 0, ""},
		{" ", 0, 0, ""},
		{"G726-32 AAL2-G726-32", 8000, 32, ""}, // no name, though it is a text of the table
		{"AAL2-G726-32", 8000, 32, "G.726-32"},
	} {
		c, ok := Lookup(test.name, test.clock, test.rate)
		if c.Name != test.want || ok != (test.want != "") {
			t.Errorf("Lookup(%q, %d, %v) = %q, %v; want %q", test.name, test.clock, test.rate, c.Name, ok, test.want)
		}
	}
}

// TestTable holds that each row is complete, that rates of one name rise, and that each can be found.
func TestTable(t *testing.T) {
	t.Parallel()
	last := map[string]float64{}
	for i := range rows {
		r := &rows[i]
		if r.names != strings.ToUpper(r.names) || r.Band == 0 || r.IeBasis == 0 || r.BplBasis == 0 || r.Bpl <= 0 {
			t.Errorf("row %d (%s) is not complete", i, r.Name)
		}
		key := r.names + r.Band.String()
		if r.Rate <= last[key] {
			t.Errorf("row %d (%s): rates of one name must rise", i, r.Name)
		}
		last[key] = r.Rate
		name, _, _ := strings.Cut(r.names, " ")
		if c, ok := Lookup(name, r.clock, r.Rate); !ok || c != r.Codec && r.clock == 0 {
			t.Errorf("row %d (%s): found %q, %v", i, r.Name, c.Name, ok)
		}
	}
	g711, _ := Lookup("PCMU", 8000, 0)
	if got := g711.WithoutPLC().Bpl; got != 4.3 {
		t.Errorf("G.711 without concealment: Bpl %v, want 4.3", got)
	}
	if g729, _ := Lookup("G729", 8000, 0); g729.WithoutPLC() != g729 {
		t.Error("G.729 conceals by itself")
	}
}

func TestEstimate(t *testing.T) {
	t.Parallel()
	g711, _ := Lookup("PCMU", 8000, 64)
	g729, _ := Lookup("G729", 8000, 8)
	gsm, _ := Lookup("GSM", 8000, 13)
	for _, test := range []struct {
		name      string
		in        Input
		r         float64
		published bool
	}{
		{"G.711 clean", Input{Codec: g711}, 93.2064, true},
		{"G.711, 1 %", Input{Codec: g711, Loss: 0.01}, 93.2064 - 3.6398, true},
		{"late is lost", Input{Codec: g711, Discard: 0.01}, 93.2064 - 3.6398, true},
		{"G.729A clean", Input{Codec: g729}, 82.2064, true},
		{"G.729A, 2 %", Input{Codec: g729, Loss: 0.02}, 74.2064, true},
		{"G.729A, 2 % in bursts", Input{Codec: g729, Loss: 0.02, BurstR: 2}, 73.8064, true},
		{"bursts count up to 2 % only", Input{Codec: g729, Loss: 0.04, BurstR: 9}, 82.2064 - 84*4.0/23, true},
		{"GSM clean", Input{Codec: gsm}, 73.2064, true},
		{"GSM, 1 %: Bpl is borrowed", Input{Codec: gsm, Loss: 0.01}, 73.2064 - 75.0/11, false},
		{"out of range", Input{Codec: g711, Loss: math.NaN(), Discard: -1, BurstR: math.NaN(), Delay: -5}, 93.2064, true},
	} {
		res, ok := Estimate(&test.in)
		if !ok || !near(res.R, test.r, 2e-3) || res.Published != test.published || res.Band != Narrowband {
			t.Errorf("%s: %+v, %v; want R %v, published %v", test.name, res, ok, test.r, test.published)
		}
	}
	if res, ok := Estimate(&Input{}); ok || res != (Result{}) {
		t.Errorf("no codec: %+v, %v", res, ok)
	}
	worst, _ := Estimate(&Input{Codec: g729, Loss: 1, Discard: 1, Delay: 3e9})
	if worst.R != 0 || worst.MOS != 1 {
		t.Errorf("all lost: %+v", worst)
	}
	if got := MouthToEar(20e6, -1); got != 100e6 {
		t.Errorf("MouthToEar without RTCP = %v", got)
	}
	if got := MouthToEar(-1, 200e6); got != 160e6 {
		t.Errorf("MouthToEar = %v", got)
	}
}

func TestBurstRatio(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		missing, runs, expected uint64
		want                    float64
	}{
		{0, 0, 100, 1}, {10, 0, 100, 1}, {10, 10, 100, 1}, {10, 2, 100, 4.5}, {100, 1, 100, 1}, {5, 5, 3, 1},
	} {
		if got := BurstRatio(test.missing, test.runs, test.expected); !near(got, test.want, 1e-9) {
			t.Errorf("BurstRatio(%d, %d, %d) = %v, want %v", test.missing, test.runs, test.expected, got, test.want)
		}
	}
}

func TestPlayout(t *testing.T) {
	t.Parallel()
	var p Playout
	late := 0
	for i := range int64(3000) { // a minute of packets every 20 ms; each 100th is 61 ms slow, each 50th 59 ms
		slow := int64(0)
		switch {
		case i%100 == 50:
			slow = 61e6
		case i%50 == 20:
			slow = 59e6
		}
		if p.Packet(i*20e6+slow, 7e9+slow) {
			late++
		}
	}
	if late != 30 || p.Late != 30 {
		t.Errorf("late %d, counted %d; want 30", late, p.Late)
	}
	// The way gets 200 ms longer for good: a buffer follows after five packets, and nothing more is late.
	for i := range int64(2000) {
		p.Packet(60e9+i*20e6, 7e9+200e6)
	}
	if p.Late != 30+5 {
		t.Errorf("after a change of the way %d late, want 5 more", p.Late-30)
	}
	// The sender's clock is 2.5 percent slow: each 60 ms of drift cost five packets.
	before := p.Late
	for i := range int64(2000) {
		p.Packet(100e9+i*20e6, 7e9+200e6+i*5e5)
	}
	if n := p.Late - before; n < 60 || n > 90 {
		t.Errorf("with a slow clock %d of 2000 late, want 80 or less", n)
	}
	p.Restart()
	before = p.Late
	if p.Packet(1, math.MinInt64) || p.Packet(2, math.MaxInt64) || p.Late != before {
		t.Error("transit times that leave 64 bits count as late")
	}
}

func BenchmarkEstimate(b *testing.B) {
	b.ReportAllocs()
	c, _ := Lookup("G729", 8000, 8)
	in := Input{Codec: c, Loss: 0.02, BurstR: 1.5, Delay: 150e6}
	for b.Loop() {
		Estimate(&in)
	}
}

func BenchmarkPlayout(b *testing.B) {
	b.ReportAllocs()
	var p Playout
	var i int64
	for b.Loop() {
		i++
		p.Packet(i*20e6, i&0xFFFFF)
	}
}

func TestNames(t *testing.T) {
	t.Parallel()
	got := strings.Join([]string{
		Narrowband.String(), Wideband.String(), Band(0).String(), Published.String(), Borrowed.String(), Basis(0).String(),
	}, ",")
	if got != "narrowband,wideband,,published,borrowed," {
		t.Error(got)
	}
}
