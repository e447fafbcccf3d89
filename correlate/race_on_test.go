//go:build race

package correlate_test

const raceDetector = true
