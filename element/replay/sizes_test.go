package replay

import "fmt"

// Left tells what a Player without plays still holds; "" when that is nothing.
func (p *Player) Left() string {
	queued := 0
	for _, q := range p.waiting {
		queued += len(q.list)
	}
	sizes := []int{len(p.plays), len(p.byCall), len(p.txns), len(p.work), len(p.ended), len(p.dead), len(p.waiting), queued}
	for _, n := range sizes {
		if n != 0 {
			return fmt.Sprintf("plays %d, Call-IDs %d, transactions %d, work %d, ended %d, dead %d, waiting %d with %d", sizes[0], sizes[1],
				sizes[2], sizes[3], sizes[4], sizes[5], sizes[6], sizes[7])
		}
	}
	return ""
}

// Timers is how many timers are set.
func (p *Player) Timers() int { return len(p.times.heap) }
