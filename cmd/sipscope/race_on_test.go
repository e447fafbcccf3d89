//go:build race

package main

// raceDetector makes each start of the program slow: tests with many of them do less.
const raceDetector = true
