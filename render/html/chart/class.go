package chart

import "sipscope/correlate"

// class is how a call went, in four words and four colours.
type class uint8

const (
	succeeded  class = iota // answered, completed, registered, subscribed: what was asked for was done
	inProgress              // no outcome yet, or not in the capture
	refused                 // a person or a rule said no, or elsewhere: busy, declined, cancelled, not found, redirected
	failed                  // nothing came, or an error
	classes    = iota
)

// Colours keep a contrast of at least 3:1 (WCAG 2.2, 1.4.11) against white and against #14181f. Those of classes are at
// least 30 apart in CIE L*a*b*, also with protanopia, deuteranopia and tritanopia. A test measures both. No chart needs
// colour to be understood.
const (
	colourSucceeded  = "#00a876"
	colourInProgress = "#4058f0"
	colourRefused    = "#b978d2"
	colourFailed     = "#ca3c05"
	colourNeutral    = "#6b7f99" // bars that mean no outcome
)

// String is the name in legends and tables.
func (c class) String() string {
	switch c {
	case succeeded:
		return "Succeeded"
	case refused:
		return "Refused"
	case failed:
		return "Failed"
	default:
		return "In progress"
	}
}

func (c class) colour() string {
	switch c {
	case succeeded:
		return colourSucceeded
	case refused:
		return colourRefused
	case failed:
		return colourFailed
	default:
		return colourInProgress
	}
}

// classOf gives the class of a state. A state of no known meaning is one without outcome.
func classOf(s correlate.State) class {
	switch s {
	case correlate.StateAnswered, correlate.StateCompleted, correlate.StateSucceeded, correlate.StateRegistered,
		correlate.StateUnregistered, correlate.StateSubscribed, correlate.StateTerminated:
		return succeeded
	case correlate.StateCancelled, correlate.StateBusy, correlate.StateDeclined, correlate.StateNotFound,
		correlate.StateRedirected, correlate.StateChallenged:
		return refused
	case correlate.StateFailed, correlate.StateTimedOut:
		return failed
	default:
		return inProgress
	}
}

// stateColour gives the colour of a state by its name.
func stateColour(name string) string {
	for _, s := range correlate.States() {
		if s.String() == name {
			return classOf(s).colour()
		}
	}
	return colourNeutral
}

// statusColour gives a response the colour of the state that it leads a call to (see correlate.State).
func statusColour(status int) string {
	switch {
	case status < 100 || status > 699:
		return colourNeutral
	case status < 200:
		return colourInProgress
	case status < 300:
		return colourSucceeded
	case status < 400:
		return colourRefused
	}
	switch status {
	case 401, 407, 404, 604, 486, 600, 487, 603:
		return colourRefused
	default:
		return colourFailed
	}
}
