package media

import (
	"cmp"
	"math"
	"slices"
	"strconv"

	"sipscope/correlate/media"
	"sipscope/render/export"
	"sipscope/render/ladder"
	"sipscope/render/text"
	"sipscope/render/tui/term"
)

// column is one of the list.
type column struct {
	name  string
	right bool // numbers stand at the right
	keep  int  // the lowest are left out first where there is no room; 0 never
	cell  func(s *media.Stream) string
	order func(x, y *media.Stream) int
	role  func(s *media.Stream) term.Role // nil for plain
}

// columns are those of the list but the sparkline, in order.
func columns() []column {
	return []column{
		{name: "num", right: true, cell: func(s *media.Stream) string { return count(uint64(s.Num)) }, order: byNum},
		{
			name: "call", right: true, cell: func(s *media.Stream) string { return positive(uint64(s.Call)) },
			order: func(x, y *media.Stream) int { return cmp.Compare(x.Call, y.Call) },
		},
		{name: "source", cell: func(s *media.Stream) string { return s.Src.String() }, order: bySource},
		{
			name: "destination", cell: func(s *media.Stream) string { return s.Dst.String() },
			order: func(x, y *media.Stream) int { return cmp.Compare(x.Dst.String(), y.Dst.String()) },
		},
		{
			name: "ssrc", keep: 1, cell: func(s *media.Stream) string { return export.SSRC(s.SSRC)[2:] },
			order: func(x, y *media.Stream) int { return cmp.Compare(x.SSRC, y.SSRC) },
		},
		{
			name: "codec", cell: codec,
			order: func(x, y *media.Stream) int { return cmp.Compare(x.Codec(), y.Codec()) },
		},
		{
			name: "packets", right: true, cell: func(s *media.Stream) string { return count(s.Packets) },
			order: func(x, y *media.Stream) int { return cmp.Compare(x.Packets, y.Packets) },
		},
		{
			name: "lost", right: true, keep: 5, cell: func(s *media.Stream) string { return strconv.FormatInt(s.Lost, 10) },
			order: func(x, y *media.Stream) int { return cmp.Compare(x.Lost, y.Lost) },
		},
		{
			name: "miss", right: true, keep: 6, cell: func(s *media.Stream) string { return count(s.Missing) }, role: lossRole,
			order: func(x, y *media.Stream) int { return cmp.Compare(x.Missing, y.Missing) },
		},
		{
			name: "loss", right: true, cell: func(s *media.Stream) string { return percent(s.LossShare()) }, role: lossRole,
			order: func(x, y *media.Stream) int { return cmp.Compare(x.LossShare(), y.LossShare()) },
		},
		{
			name: "dup", right: true, keep: 2, cell: func(s *media.Stream) string { return count(s.Duplicates) },
			order: func(x, y *media.Stream) int { return cmp.Compare(x.Duplicates, y.Duplicates) },
		},
		{
			name: "reord", right: true, keep: 3, cell: func(s *media.Stream) string { return count(s.Reordered) },
			order: func(x, y *media.Stream) int { return cmp.Compare(x.Reordered, y.Reordered) },
		},
		{
			name: "jitter", right: true, keep: 8, cell: func(s *media.Stream) string { return ladder.Millis(s.MeanJitter) },
			order: func(x, y *media.Stream) int { return cmp.Compare(x.MeanJitter, y.MeanJitter) },
		},
		{
			name: "max", right: true, keep: 4, cell: func(s *media.Stream) string { return ladder.Millis(s.MaxJitter) },
			order: func(x, y *media.Stream) int { return cmp.Compare(x.MaxJitter, y.MaxJitter) },
		},
		{
			name: "mos", right: true, cell: ladder.MOS, role: mosRole,
			order: func(x, y *media.Stream) int { return cmp.Compare(x.MOS, y.MOS) },
		},
	}
}

func byNum(x, y *media.Stream) int { return cmp.Compare(x.Num, y.Num) }

func bySource(x, y *media.Stream) int { return cmp.Compare(x.Src.String(), y.Src.String()) }

func count(n uint64) string { return strconv.FormatUint(n, 10) }

func positive(n uint64) string {
	if n == 0 {
		return "-"
	}
	return count(n)
}

// percent writes a share.
func percent(share float64) string {
	if math.IsNaN(share) {
		return ""
	}
	return strconv.FormatFloat(100*share, 'f', 1, 64) + "%"
}

// codec names what a stream carries; SRTP says so.
func codec(s *media.Stream) string {
	if s.Secure {
		return s.Codec() + " S"
	}
	return s.Codec()
}

// Bounds of what sounds well (ITU-T G.107 annex B) and of what is heard as loss.
const (
	goodMOS = 4.0
	fairMOS = 3.6
	someLow = 0.01
	badLoss = 0.05
)

func mosRole(s *media.Stream) term.Role {
	switch {
	case s.MOS <= 0:
		return term.Normal
	case s.MOS >= goodMOS:
		return term.Good
	case s.MOS >= fairMOS:
		return term.Neutral
	default:
		return term.Bad
	}
}

func lossRole(s *media.Stream) term.Role {
	switch share := s.LossShare(); {
	case share >= badLoss:
		return term.Bad
	case share >= someLow:
		return term.Neutral
	default:
		return term.Normal
	}
}

// sortRows orders streams by a column; equal ones by number.
func sortRows(rows []media.Stream, c *column, down bool) {
	slices.SortStableFunc(rows, func(x, y media.Stream) int {
		n := c.order(&x, &y)
		if down {
			n = -n
		}
		return cmp.Or(n, byNum(&x, &y))
	})
}

// Cells of the list.
const (
	blank    = 1  // between columns
	minSpark = 8  // no sparkline below this
	maxCell  = 46 // an IPv6 address with its port
)

// layout chooses the columns for a width, and how wide each is for the rows in sight. What is left is the sparkline's.
func layout(all []column, rows []media.Stream, width int, clean func(string) string) (chosen []column, widths []int, spark int) {
	total := 0
	for i := range all {
		w := len(all[i].name) + 1 // the order of the sorted one
		for k := range rows {
			w = max(w, min(text.Width(clean(all[i].cell(&rows[k]))), maxCell))
		}
		chosen, widths = append(chosen, all[i]), append(widths, w)
		total += w + blank
	}
	for total > width-minSpark {
		least := leastOf(chosen)
		if least < 0 || total <= width && chosen[least].keep > dearer {
			break
		}
		total -= widths[least] + blank
		chosen, widths = slices.Delete(chosen, least, least+1), slices.Delete(widths, least, least+1)
	}
	return chosen, widths, max(width-total, 0)
}

// dearer is from which keep on a column is worth more than a sparkline.
const dearer = 4

// leastOf finds the column that is left out first; -1 when none may be.
func leastOf(all []column) int {
	least := -1
	for i := range all {
		if all[i].keep > 0 && (least < 0 || all[i].keep < all[least].keep) {
			least = i
		}
	}
	return least
}
