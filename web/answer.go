package web

import (
	"bytes"
	"compress/gzip"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

const (
	jsonType = "application/json"
	htmlType = "text/html; charset=utf-8"
	textType = "text/plain; charset=utf-8"
)

// leastZip is from how many bytes on an answer is compressed.
const leastZip = 1024

// document is a whole answer. Several readers may get the same one: it is compressed once.
type document struct {
	body  []byte
	kind  string // its Content-Type
	final bool   // it will not change any more

	once   sync.Once
	zipped []byte
}

func (d *document) size() int { return len(d.body) }

// zip gives the document compressed, nil when that does not help.
func (d *document) zip() []byte {
	d.once.Do(func() {
		if len(d.body) < leastZip {
			return
		}
		var b bytes.Buffer
		b.Grow(len(d.body) / 4)
		z, err := gzip.NewWriterLevel(&b, gzip.BestSpeed)
		if err != nil {
			return
		}
		if _, err = z.Write(d.body); err == nil && z.Close() == nil && b.Len() < len(d.body) {
			d.zipped = b.Bytes()
		}
	})
	return d.zipped
}

// send answers with a document.
func (d *document) send(w http.ResponseWriter, r *http.Request, status int) {
	h := w.Header()
	h.Set("Content-Type", d.kind)
	h.Add("Vary", "Accept-Encoding")
	body := d.body
	if len(body) >= leastZip && takesGzip(r.Header.Values("Accept-Encoding")) {
		if z := d.zip(); z != nil {
			h.Set("Content-Encoding", "gzip")
			body = z
		}
	}
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	_, _ = w.Write(body) //nolint:gosec // JSON, or a page that Pages escaped; an error is a reader that is gone
}

// takesGzip reports whether a reader accepts gzip (RFC 9110 12.5.3).
func takesGzip(accept []string) bool {
	all := false
	for _, line := range accept {
		for part := range strings.SplitSeq(line, ",") {
			coding, params, _ := strings.Cut(part, ";")
			yes := !isZero(params)
			switch strings.ToLower(strings.TrimSpace(coding)) {
			case "gzip", "x-gzip":
				return yes
			case "*":
				all = yes
			}
		}
	}
	return all
}

// isZero reports whether parameters of a coding hold the weight 0: not wanted.
func isZero(params string) bool {
	for p := range strings.SplitSeq(params, ";") {
		name, value, ok := strings.Cut(p, "=")
		if !ok || !strings.EqualFold(strings.TrimSpace(name), "q") {
			continue
		}
		q, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
		return err == nil && q == 0
	}
	return false
}

// seconds writes a time for Retry-After, rounded up.
func seconds(d time.Duration) string {
	return strconv.FormatInt(int64((d+time.Second-1)/time.Second), 10)
}

// bytesText writes a size for a person.
func bytesText(n int64) string {
	switch {
	case n >= 1e6:
		return strconv.FormatFloat(float64(n)/1e6, 'f', -1, 64) + " MB"
	case n >= 1e3:
		return strconv.FormatFloat(float64(n)/1e3, 'f', -1, 64) + " kB"
	default:
		return strconv.FormatInt(n, 10) + " bytes"
	}
}
