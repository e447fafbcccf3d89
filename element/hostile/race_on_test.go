//go:build race

package hostile

// raceDetector makes everything ten times slower, and finds nothing where all is one goroutine: see single.
const raceDetector = true
