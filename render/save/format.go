package save

import (
	"context"
	"path/filepath"
	"slices"
	"strings"
)

// Format is a kind of file.
type Format uint8

// Formats.
const (
	_           Format = iota
	Pcap               // the frames of the calls, fragments and TCP segments included; one link type
	Pcapng             // the same, of any link types, with the capture's comments
	Text               // the messages one after the other, each under a line that says frame, time, way and transport
	Ladder             // ladders as text
	LadderASCII        // the same in ASCII
	Mermaid            // a sequence diagram
	SVG                // a picture
	HTML               // a page with the ladder and the messages, that needs no network
	JSON               // ladder and calls in one document, as `sipscope flow --format json`
	NDJSON             // a summary a line, as `sipscope ls --format ndjson` without its last line
	CSV                // a summary a line, as `sipscope ls --format csv`
	formats
)

// facts is what there is to know about a format. A new format is one more entry.
type facts struct {
	name     string
	about    string   // in a few words, for help and dialogs
	endings  []string // of file names; the first is the usual one, and where two formats share one the first format has it
	messages bool     // single messages can be chosen
	frames   bool     // Source.Frames is needed
	texts    bool     // Source.Text is needed
	secrets  bool     // Job.Secrets has a place
	write    func(ctx context.Context, o *output, job *Job) error
}

// facts gives what is known about a format; all is zero for one that is none.
func (f Format) facts() facts {
	if f == 0 || f >= formats {
		return facts{}
	}
	return [formats]facts{
		Pcap: {
			name: "pcap", about: "frames, for any capture tool", endings: []string{".pcap", ".cap", ".dmp"},
			messages: true, frames: true, write: writePcap,
		},
		Pcapng: {
			name: "pcapng", about: "frames of any link types, with comments", endings: []string{".pcapng", ".ntar"},
			messages: true, frames: true, secrets: true, write: writePcapng,
		},
		Text: {
			name: "text", about: "messages as text", endings: []string{".txt", ".sip", ".log"},
			messages: true, texts: true, write: writeText,
		},
		Ladder: {
			name: "ladder", about: "ladder as text", endings: []string{".ladder", ".txt"}, write: writeLadder,
		},
		LadderASCII: {
			name: "ladder-ascii", about: "ladder in ASCII", endings: []string{".ascii", ".txt"}, write: writeLadder,
		},
		Mermaid: {
			name: "mermaid", about: "sequence diagram for Markdown", endings: []string{".mmd", ".mermaid"},
			write: writeMermaid,
		},
		SVG: {
			name: "svg", about: "ladder as a picture", endings: []string{".svg"}, write: writeSVG,
		},
		HTML: {
			name: "html", about: "ladder and messages as a page", endings: []string{".html", ".htm"}, texts: true,
			write: writeHTML,
		},
		JSON: {
			name: "json", about: "ladder, messages and their texts", endings: []string{".json"}, texts: true,
			write: writeJSON,
		},
		NDJSON: {
			name: "ndjson", about: "summaries, a call a line", endings: []string{".ndjson", ".jsonl"}, write: writeNDJSON,
		},
		CSV: {
			name: "csv", about: "summaries, for spreadsheets", endings: []string{".csv"}, write: writeCSV,
		},
	}[f]
}

// Formats lists all formats.
func Formats() []Format {
	all := make([]Format, 0, formats)
	for f := Format(1); f < formats; f++ {
		all = append(all, f)
	}
	return all
}

// String is the name as flags and dialogs use it, such as "ladder-ascii"; empty for no format.
func (f Format) String() string { return f.facts().name }

// About says in a few words what a file of the format holds.
func (f Format) About() string { return f.facts().about }

// Ext is the usual ending of a file name, with its dot: ".pcap". FormatOf(f.Ext()) is f.
func (f Format) Ext() string {
	if e := f.facts().endings; len(e) > 0 {
		return e[0]
	}
	return ""
}

// Messages reports whether single messages of a call can be saved in the format: Job.Messages.
func (f Format) Messages() bool { return f.facts().messages }

// Frames reports whether the format is a capture, in which connections can be whole: Job.Connections.
func (f Format) Frames() bool { return f.facts().frames }

// Secrets reports whether the format can hold secrets of TLS connections: Job.Secrets.
func (f Format) Secrets() bool { return f.facts().secrets }

// FormatOf tells the format by the ending of a file name, whatever its case.
func FormatOf(path string) (Format, bool) {
	ext := strings.ToLower(filepath.Ext(path))
	for _, f := range Formats() {
		if slices.Contains(f.facts().endings, ext) {
			return f, true
		}
	}
	return 0, false
}

// ParseFormat finds a format by its name.
func ParseFormat(name string) (Format, bool) {
	for _, f := range Formats() {
		if f.String() == name {
			return f, true
		}
	}
	return 0, false
}
