package ladder

import (
	"strconv"
	"time"
)

// Duration writes nanoseconds as a person reads them, in ASCII: "0.25 ms", "148 ms", "1.05 s", "2 min 5 s",
// "1 h 2 min". A negative one has a minus sign.
func Duration(ns int64) string {
	if ns < 0 {
		if ns == -1<<63 {
			ns++
		}
		return "-" + Duration(-ns)
	}
	switch d := time.Duration(ns); {
	case d < 10*time.Millisecond:
		return places(round(ns, 10_000), int64(time.Millisecond)) + " ms"
	case d < time.Second-time.Millisecond/2:
		return strconv.FormatInt(round(ns, int64(time.Millisecond))/int64(time.Millisecond), 10) + " ms"
	case d < time.Minute-5*time.Millisecond:
		return places(round(ns, int64(10*time.Millisecond)), int64(time.Second)) + " s"
	case d < time.Hour-time.Second/2:
		s := round(ns, int64(time.Second)) / int64(time.Second)
		return two(s/60, " min", s%60, " s")
	case d < 48*time.Hour:
		m := round(ns, int64(time.Minute)) / int64(time.Minute)
		return two(m/60, " h", m%60, " min")
	default:
		h := ns / int64(time.Hour)
		return two(h/24, " d", h%24, " h")
	}
}

// round gives ns as the nearest multiple of unit; ns is far below the limit of int64 wherever it is used.
func round(ns, unit int64) int64 { return (ns + unit/2) / unit * unit }

// places writes ns in units with up to two decimals.
func places(ns, unit int64) string {
	return strconv.FormatFloat(float64(ns)/float64(unit), 'f', decimals(ns, unit), 64)
}

func decimals(ns, unit int64) int {
	switch {
	case ns%unit == 0:
		return 0
	case ns%(unit/10) == 0:
		return 1
	default:
		return 2
	}
}

func two(a int64, unitA string, b int64, unitB string) string {
	s := strconv.FormatInt(a, 10) + unitA
	if b == 0 {
		return s
	}
	return s + " " + strconv.FormatInt(b, 10) + unitB
}
