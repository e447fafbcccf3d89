package web

import (
	"errors"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"sync"
)

// maxAssets bounds the files that are kept in memory; there are fewer.
const maxAssets = 64

// assets are the files of pages, each read and compressed once.
type assets struct {
	from fs.FS

	mu   sync.Mutex
	kept map[string]*document
}

// get gives a file.
func (a *assets) get(name string) (*document, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if d := a.kept[name]; d != nil {
		return d, nil
	}
	if a.from == nil || !fs.ValidPath(name) || path.Base(name) != name || name == "." {
		return nil, fs.ErrNotExist
	}
	b, err := fs.ReadFile(a.from, name)
	if err != nil {
		return nil, err
	}
	d := &document{body: b, kind: assetType(name), final: true}
	if a.kept == nil {
		a.kept = map[string]*document{}
	}
	if len(a.kept) < maxAssets {
		a.kept[name] = d
	}
	return d, nil
}

// assetType is the Content-Type of a file: browsers are told not to guess, and the system's table may say anything.
func assetType(name string) string {
	switch ext := path.Ext(name); ext {
	case ".js", ".mjs":
		return "text/javascript; charset=utf-8"
	case ".css":
		return "text/css; charset=utf-8"
	case ".svg":
		return "image/svg+xml"
	case ".json", ".map":
		return jsonType
	case ".txt":
		return textType
	default:
		if kind := mime.TypeByExtension(ext); kind != "" {
			return kind
		}
		return "application/octet-stream"
	}
}

// serveAsset is GET /assets/{name}. Nothing in these files is of a capture: the login may use them, too.
func (s *Server) serveAsset(w http.ResponseWriter, r *http.Request) {
	d, err := s.assets.get(r.PathValue("name"))
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, fs.ErrInvalid) {
			s.fail(w, r, false, err)
			return
		}
		s.fail(w, r, false, notFound("there is no such file"))
		return
	}
	w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	d.send(w, r, http.StatusOK)
}
