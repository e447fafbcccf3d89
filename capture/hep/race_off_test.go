//go:build !race

package hep

const raceDetector = false
