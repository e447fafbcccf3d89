package web

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"path"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"sipscope/capture"
	"sipscope/render/text"
)

const (
	// maxUploads is how many uploaded captures are kept; the oldest goes first.
	maxUploads = 8
	// uploadWait is how long an upload may take, and uploadStep how long nothing may come.
	uploadWait = 15 * time.Minute
	uploadStep = 30 * time.Second
	// maxName bounds the name of an uploaded file, in characters.
	maxName = 100
	// uploadOverhead is what the form around a file may take, in bytes.
	uploadOverhead = 64 << 10
)

// uploads are the captures that readers have sent.
type uploads struct {
	taking sync.Mutex // one is taken at a time

	mu     sync.Mutex
	closed bool
	last   uint64
	kept   []*upload // the oldest first
	wg     sync.WaitGroup
	err    error // the first that came of closing
}

type upload struct {
	id   string
	site *site
}

func (u *uploads) find(id string) (*site, bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, k := range u.kept {
		if k.id == id {
			return k.site, true
		}
	}
	return nil, false
}

// add takes in a capture, and lets the oldest go: readers of it are told.
func (u *uploads) add(s *Server, title string, data Data) (*site, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.last++
	id := strconv.FormatUint(u.last, 10)
	site := newSite(s, "/u/"+id, title, data)
	if u.closed {
		return nil, errors.Join(errGone, site.close())
	}
	u.kept = append(u.kept, &upload{id, site})
	for len(u.kept) > maxUploads {
		u.end(u.kept[0])
		u.kept = u.kept[1:]
	}
	return site, nil
}

// end closes a capture in the background: its readers may take a while. The mutex is held.
func (u *uploads) end(k *upload) {
	u.wg.Go(func() {
		if err := k.site.close(); err != nil {
			u.mu.Lock()
			u.err = errors.Join(u.err, err)
			u.mu.Unlock()
		}
	})
}

// close ends all, and waits.
func (u *uploads) close() error {
	u.mu.Lock()
	u.closed = true
	for _, k := range u.kept {
		u.end(k)
	}
	u.kept = nil
	u.mu.Unlock()
	u.wg.Wait()
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.err
}

// uploadedJSON says where a capture is to be looked at.
type uploadedJSON struct {
	URL   string `json:"url"`
	Title string `json:"title"`
}

// serveUpload is POST /api/v1/upload: a form with a file, or the bytes themselves.
func (s *site) serveUpload(w http.ResponseWriter, r *http.Request) error {
	srv := s.srv
	if !srv.uploads.taking.TryLock() {
		return later("another upload is under way", 10*time.Second)
	}
	defer srv.uploads.taking.Unlock()
	if r.ContentLength > srv.cfg.UploadLimit+uploadOverhead {
		return tooLarge(srv.cfg.UploadLimit)
	}
	control := http.NewResponseController(w)
	_ = control.SetWriteDeadline(time.Now().Add(uploadWait + answerWait)) // without a connection there are none
	r.Body = &patient{
		body: http.MaxBytesReader(w, r.Body, srv.cfg.UploadLimit+uploadOverhead), control: control,
		until: time.Now().Add(uploadWait),
	}
	name, body, err := uploaded(r)
	if err != nil {
		return err
	}
	limited := &limitReader{r: body, left: srv.cfg.UploadLimit}
	data, err := srv.cfg.Upload(r.Context(), name, limited)
	if err != nil {
		return uploadProblem(err, limited.over, srv.cfg.UploadLimit)
	}
	title := data.Title
	if title == "" {
		title = name
	}
	to, err := srv.uploads.add(srv, title, *data)
	if err != nil {
		return err
	}
	srv.cfg.Log.LogAttrs(r.Context(), slog.LevelInfo, "capture uploaded", slog.String("name", name), slog.String("as", to.base))
	w.Header().Set("Location", to.base+"/")
	if strings.Contains(r.Header.Get("Accept"), "text/html") { // a form without a script
		w.WriteHeader(http.StatusSeeOther)
		return nil
	}
	return sendJSON(w, r, http.StatusAccepted, &uploadedJSON{URL: to.base + "/", Title: title})
}

func tooLarge(limit int64) *problem {
	return wrong(http.StatusRequestEntityTooLarge, "a capture may have "+bytesText(limit), "")
}

// uploadProblem says what is wrong with an upload.
func uploadProblem(err error, over bool, limit int64) error {
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok || over {
		return tooLarge(limit)
	}
	if errors.Is(err, capture.ErrFormat) {
		return wrong(http.StatusUnsupportedMediaType, "it is no capture", "send pcap or pcapng, plain or compressed")
	}
	return err
}

// uploaded finds the file in a request.
func uploaded(r *http.Request) (name string, body io.Reader, err error) {
	if kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); kind != "multipart/form-data" {
		return fileName(r.URL.Query().Get("name")), r.Body, nil
	}
	form, err := r.MultipartReader()
	if err != nil {
		return "", nil, wrong(http.StatusBadRequest, "the form cannot be read", "")
	}
	const parts = 16 // before the file
	for range parts {
		part, err := form.NextPart()
		if err != nil {
			if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
				return "", nil, err
			}
			break
		}
		if part.FormName() == "file" {
			return fileName(part.FileName()), part, nil
		}
	}
	return "", nil, wrong(http.StatusBadRequest, "the form has no file", `its field is called "file"`)
}

// fileName makes a title of what a reader calls its file.
func fileName(name string) string {
	name = path.Base(strings.ReplaceAll(name, `\`, "/"))
	if name == "." || name == "/" || name == "" {
		return "upload"
	}
	if utf8.RuneCountInString(name) > maxName {
		name = string([]rune(name)[:maxName])
	}
	return text.Clean(name)
}

// limitReader ends with an error beyond a limit.
type limitReader struct {
	r    io.Reader
	left int64
	over bool
}

// Read implements io.Reader.
func (l *limitReader) Read(b []byte) (int, error) {
	if l.left < 0 || l.over {
		return 0, errTooLarge
	}
	if int64(len(b)) > l.left+1 {
		b = b[:l.left+1]
	}
	n, err := l.r.Read(b)
	if int64(n) > l.left {
		n, l.over, err = int(l.left), true, errTooLarge
	}
	l.left -= int64(n)
	return n, err
}

var errTooLarge = errors.New("the upload is too large")

// patient is a body that comes slowly: each read has a deadline, and all of them together.
type patient struct {
	body    io.ReadCloser
	control *http.ResponseController
	until   time.Time
}

// Read implements io.Reader.
func (p *patient) Read(b []byte) (int, error) {
	deadline := time.Now().Add(uploadStep)
	if p.until.Before(deadline) {
		deadline = p.until
	}
	if err := p.control.SetReadDeadline(deadline); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return 0, fmt.Errorf("upload: %w", err)
	}
	return p.body.Read(b)
}

// Close implements io.Closer.
func (p *patient) Close() error { return p.body.Close() }
