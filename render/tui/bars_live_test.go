package tui

import "testing"

func TestFitting(t *testing.T) {
	t.Parallel()
	line := "live · 312 dropped by the kernel · 12k packets/s · 450 calls/s"
	for width, want := range map[int]string{
		80: line, 50: "live · 312 dropped by the kernel · 12k packets/s", 40: "live · 312 dropped by the kernel", 10: "live", 2: "live",
	} {
		if got := fitting(line, width); got != want {
			t.Errorf("%d cells: %q, want %q", width, got, want)
		}
	}
}
