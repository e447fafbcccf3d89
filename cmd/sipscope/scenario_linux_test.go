package main

import "testing"

// --tui shows the flow in the terminal UI, with the hosts' names above the ladder.
func TestScenarioTUI(t *testing.T) {
	t.Parallel()
	p := startPTY(t, 120, 40, "scenario", "bye-record-route", "--tui", "--virtual")
	p.until("completed", p.start)
	p.press("\r")
	p.until("proxy.a.com", p.start)
	p.end()
}
