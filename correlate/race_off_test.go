//go:build !race

package correlate_test

const raceDetector = false // the race detector is off
