package correlate

import (
	"testing"
	"unsafe"
)

// Law 6: a message costs at most 150 bytes. The other records are held to what docs/performance.md says.
func TestRecordSizes(t *testing.T) {
	t.Parallel()
	for _, r := range []struct {
		name      string
		size, max uintptr
	}{
		{"message", unsafe.Sizeof(msgRec{}), 80},
		{"transaction", unsafe.Sizeof(txnRec{}), 80},
		{"dialog", unsafe.Sizeof(dialogRec{}), 48},
		{"call", unsafe.Sizeof(callRec{}), 488},
	} {
		t.Logf("%s: %d bytes", r.name, r.size)
		if r.size > r.max {
			t.Errorf("%s: %d bytes, at most %d", r.name, r.size, r.max)
		}
	}
}
