//go:build race

package hep

// raceDetector makes sync.Pool forget at random.
const raceDetector = true
