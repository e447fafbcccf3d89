package html

import (
	"bytes"
	"io/fs"
	"time"

	"sipscope/render/html/chart"
)

// Files are the scripts and the style sheet of live pages under names that change with them: a file system of three
// files, for a server.
type Files struct {
	Script, Charts, Style string
	content               map[string][]byte
}

// LiveFiles gives what a server must serve beside the pages of WriteLive, below /assets/.
func LiveFiles() (Files, error) {
	b := shared()
	if b.err != nil {
		return Files{}, b.err
	}
	f := Files{
		Script: "sipscope-" + fingerprint(b.script) + ".js",
		Charts: "echarts-" + fingerprint(chart.Script()) + ".js",
		Style:  "sipscope-" + fingerprint(b.style) + ".css",
	}
	f.content = map[string][]byte{f.Script: b.script, f.Charts: chart.Script(), f.Style: b.style}
	return f, nil
}

// Open implements fs.FS. The files can be sought in, as http.FileServerFS wants it.
func (f Files) Open(name string) (fs.File, error) {
	b, ok := f.content[name]
	if !ok {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	return &file{Reader: bytes.NewReader(b), info: info{name: name, size: int64(len(b))}}, nil
}

// file is one of Files being read.
type file struct {
	*bytes.Reader

	info info
}

// Stat implements fs.File.
func (f *file) Stat() (fs.FileInfo, error) { return f.info, nil }

// Close implements fs.File.
func (f *file) Close() error { return nil }

type info struct {
	name string
	size int64
}

// Name implements fs.FileInfo.
func (i info) Name() string { return i.name }

// Size implements fs.FileInfo.
func (i info) Size() int64 { return i.size }

// Mode implements fs.FileInfo.
func (i info) Mode() fs.FileMode { return 0o444 }

// ModTime implements fs.FileInfo.
func (i info) ModTime() time.Time { return time.Time{} }

// IsDir implements fs.FileInfo.
func (i info) IsDir() bool { return false }

// Sys implements fs.FileInfo.
func (i info) Sys() any { return nil }
