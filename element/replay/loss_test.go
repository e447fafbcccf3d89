package replay_test

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"sipscope/element/replay"
	"sipscope/element/virtual"
)

// What the network loses and duplicates, the transaction layer makes good: the replays complete all the same.
func TestLossy(t *testing.T) {
	t.Parallel()
	names, err := textbook()
	if err != nil {
		t.Fatal(err)
	}
	paths := map[string]virtual.Path{
		"loss":      {Latency: int64(time.Millisecond), Loss: 0.1},
		"duplicate": {Latency: int64(time.Millisecond), Duplicate: 0.5},
		"both":      {Latency: int64(5 * time.Millisecond), Jitter: int64(3 * time.Millisecond), Loss: 0.05, Duplicate: 0.2},
	}
	seeds := 3
	if n, err := strconv.Atoi(os.Getenv("SEEDS")); err == nil {
		seeds = n
	}
	for _, name := range names {
		if only := os.Getenv("FLOW"); only != "" && !strings.HasPrefix(only, name+"/") {
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			text := flowText(t, name)
			r := recorded(t, name, text)
			there := parsed(t, name, elsewhere(text))
			for _, sut := range append(participants(there), "") {
				if deviations[name+"/"+sut] != "" {
					continue
				}
				for kind, path := range paths {
					for seed := range uint64(seeds) {
						if only := os.Getenv("FLOW"); only != "" && only != name+"/"+sut+"/"+kind {
							continue
						}
						p, ok := planFor(t, r, there, sut)
						if !ok {
							continue
						}
						w := newWorldOf(t, seed, p, there, func(o *replay.Options) { o.Credentials = accounts(there) })
						w.net.Path = path
						w.wire.lines = nil
						w.run(1)
						w.clean()
						for _, o := range w.ended {
							if o.Verdict != replay.Completed {
								t.Errorf("live=%s %s seed %d: %s: %s\nnotes: %s", sut, kind, seed, o.Verdict, o.Reason, fmt.Sprint(o.Notes))
								if os.Getenv("FLOW") != "" {
									t.Log(w.wire.arrows())
								}
							}
						}
					}
				}
			}
		})
	}
}
