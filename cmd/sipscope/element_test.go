package main

import (
	"context"
	"os"
	"testing"
	"time"
)

// TestLinger: the signal that ended the context is not taken for a second one, which would leave calls up.
func TestLinger(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name    string
		told    bool
		signals int
		waits   bool // for what is open to end
	}{
		{"ended otherwise", false, 0, true},
		{"a signal later", false, 1, false},
		{"by the context alone", true, 0, true},
		{"the same signal by both ways", true, 1, true},
		{"a second signal", true, 2, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			signals, idle, returned := make(chan os.Signal, 2), make(chan struct{}), make(chan struct{})
			for range tt.signals {
				signals <- os.Interrupt
			}
			go func() {
				linger(context.Background(), idle, signals, tt.told)
				close(returned)
			}()
			if tt.waits {
				select {
				case <-returned:
					t.Error("it did not wait")
				case <-time.After(50 * time.Millisecond):
				}
				close(idle)
			}
			<-returned
		})
	}
}
