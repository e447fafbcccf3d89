package html

import (
	_ "embed" // the words
	"encoding/json"
	"sync"
)

//go:embed assets/words.json
var wordsJSON []byte

// words is the English of the pages by key, for templates and scripts.
type words struct {
	all map[string]string
}

// english reads assets/words.json once; a test holds that it can be read and has every key that is asked for.
var english = sync.OnceValue(func() *words { //nolint:gochecknoglobals // read-only table
	w := &words{}
	if err := json.Unmarshal(wordsJSON, &w.all); err != nil {
		w.all = nil
	}
	return w
})

// get gives the words of a key, the key itself when there are none.
func (w *words) get(key string) string {
	if s, ok := w.all[key]; ok {
		return s
	}
	return key
}

// Words gives the English of a key, with its places {0}, {1} ... filled, for what a caller adds to a page.
func Words(key string, args ...any) string { return english().fill(key, args...) }
