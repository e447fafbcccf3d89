package web

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"log/slog"
	"net"
	"strconv"
	"time"

	"sipscope/capture"
	"sipscope/correlate"
	"sipscope/correlate/media"
	"sipscope/correlate/media/judge"
	"sipscope/correlate/stats"
	"sipscope/decode"
	"sipscope/render/save"
)

// ErrOpen says that a server would show every message to whoever reaches it: it listens beyond loopback, and readers
// need not say who they are.
var ErrOpen = errors.New("beyond loopback readers must say who they are: set a token, or a user and a password")

// ErrConfig says that a Config cannot be served.
var ErrConfig = errors.New("wrong configuration")

// Config says what to serve, where, and to whom.
type Config struct {
	Listen            string // address and port, such as "127.0.0.1:8060"; port 0 takes a free one
	Auth              Auth
	CertFile, KeyFile string // PEM; both for TLS, none for plain HTTP
	Title             string // of the pages
	Data              Data
	Pages             Pages
	// Upload opens a capture that a reader sends; nil when uploading is off. It reads body to its end before it returns,
	// and the reading of the capture goes on behind Data. Errors that wrap capture.ErrFormat are the sender's. name is
	// what the sender calls the file: clean, no path, at most 100 characters.
	Upload      func(ctx context.Context, name string, body io.Reader) (*Data, error)
	UploadLimit int64 // bytes of a capture; 0 takes DefaultUploadLimit
	Version     string
	Log         *slog.Logger     // nil for none
	Now         func() time.Time // nil takes time.Now
}

// DefaultUploadLimit is how large an uploaded capture may be, in bytes.
const DefaultUploadLimit = 200 << 20

// Auth says who may read: whoever shows the token, or knows user and password. The zero value lets everybody read.
type Auth struct {
	Token          string
	User, Password string
}

// enabled reports whether readers must say who they are.
func (a *Auth) enabled() bool { return a.Token != "" || a.Password != "" }

// Data is a capture that is being read, or has been. Its functions are called from many goroutines.
type Data struct {
	Board   *correlate.Board
	Save    save.Source // where frames and texts are read again
	Headers []string    // that the pipeline collects: correlate.Config.Headers
	// Stats gives the figures so far; nil for none. It may walk over all calls.
	Stats func(ctx context.Context) (stats.Result, error)
	// Err is what ended the reading, nil while it goes on and after a good end. Nil for never.
	Err func() error
	// Streams copies the RTP streams of a call by its number, Findings judges them. Nil without media.
	Streams  func(call uint32) []media.Stream
	Lanes    func(call uint32) []media.Lane // what was seen of media that are not RTP
	Findings func(call uint32) []judge.Finding
	// Progress is how much was read, in bytes; total is 0 when not known. Nil for not known.
	Progress func() (done, total int64)
	// Status is what live sources say of themselves; nil for files.
	Status func() capture.Status
	// Live says the same in a line for people: figures a second, losses. Nil for files.
	Live func() string
	// Report writes an HTML report of calls; nil when there is none to download.
	Report func(ctx context.Context, w io.Writer, calls []uint32) error
	// Title of an uploaded capture; "" takes the file's name.
	Title string
	// Close ends the reading and frees what was opened; it is called once, when nobody reads any more. Of uploaded
	// captures only: who made Config.Data closes it.
	Close func() error
}

// Pages is what draws; render/html implements it. Its methods are called from many goroutines.
type Pages interface {
	// Shell writes the page that shows a view, with what it can show without scripts.
	Shell(w io.Writer, s Shell) error
	// CallJSON appends what a page shows of a call: a document of its own. text gives nil for what cannot be read again.
	CallJSON(dst []byte, c *correlate.Call, text func(message int) []byte, m Media) ([]byte, error)
	// OverviewJSON appends the charts with their tables, facts and accounting.
	OverviewJSON(dst []byte, o Overview) ([]byte, error)
	// Assets are files served as /assets/NAME and kept by browsers for a year: names carry a hash of the content.
	Assets() fs.FS
}

// Views of a Shell.
const (
	ViewOverview = "overview"
	ViewCalls    = "calls"
	ViewCall     = "call"
)

// Shell is a page before its scripts run.
type Shell struct {
	View    string                   // ViewOverview, ViewCalls or ViewCall
	Call    *correlate.Call          // of ViewCall, else nil
	Text    func(message int) []byte // of Call; nil for what cannot be read again
	Media   Media                    // of Call
	Message int                      // 0-based in Call, the one that the address names; -1 for none
	Title   string                   // of the capture
	Base    string                   // what every address of the capture begins with: "", or "/u/3" of an uploaded one
	Path    string                   // of the page, Base included: "/u/3/calls"
	Live    bool                     // the capture is still being read
	Upload  bool                     // captures can be uploaded
	Version string                   // of the program
}

// Media is what is known of the media of one call.
type Media struct {
	Streams  []media.Stream
	Lanes    []media.Lane
	Findings []judge.Finding
}

// StreamsOf gives the streams, whatever the number: ladder.StreamsFunc.
func (m *Media) StreamsOf(uint32) []media.Stream { return m.Streams }

// LanesOf gives the lanes, whatever the number: ladder.LanesFunc.
func (m *Media) LanesOf(uint32) []media.Lane { return m.Lanes }

// FindingsOf gives the findings, whatever the number: ladder.FindingsFunc.
func (m *Media) FindingsOf(uint32) []judge.Finding { return m.Findings }

// media copies what is known of the media of a call.
func (d *Data) media(num uint32) Media {
	var m Media
	if d.Streams != nil {
		m.Streams = d.Streams(num)
	}
	if d.Lanes != nil {
		m.Lanes = d.Lanes(num)
	}
	if d.Findings != nil {
		m.Findings = d.Findings(num)
	}
	return m
}

// Overview is what there is to say about all calls.
type Overview struct {
	Title      string
	Result     stats.Result
	Calls      iter.Seq[*correlate.Summary] // every call; may be walked again
	Accounting decode.Accounting
	Limited    correlate.Limited
}

// check finds what is wrong with a configuration, and fills in what may be left out.
func (c *Config) check() error {
	host, port, err := net.SplitHostPort(c.Listen)
	if err != nil {
		return fmt.Errorf("%w: listen address %q: %w", ErrConfig, c.Listen, err)
	}
	if _, err = strconv.ParseUint(port, 10, 16); err != nil {
		return fmt.Errorf("%w: listen address %q: the port is no number up to 65535", ErrConfig, c.Listen)
	}
	switch {
	case c.Data.Board == nil:
		return fmt.Errorf("%w: no board", ErrConfig)
	case c.Pages == nil:
		return fmt.Errorf("%w: no pages", ErrConfig)
	case (c.Auth.User == "") != (c.Auth.Password == ""):
		return fmt.Errorf("%w: user and password belong together", ErrConfig)
	case (c.CertFile == "") != (c.KeyFile == ""):
		return fmt.Errorf("%w: certificate and key belong together", ErrConfig)
	case !isLoopback(host) && !c.Auth.enabled():
		return fmt.Errorf("%s: %w", c.Listen, ErrOpen)
	}
	if c.UploadLimit <= 0 {
		c.UploadLimit = DefaultUploadLimit
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return nil
}

// isLoopback reports whether a listen address is reached from this machine only. No host is all addresses.
func isLoopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

// tlsConfig reads the certificate; nil without one.
func (c *Config) tlsConfig() (*tls.Config, error) {
	if c.CertFile == "" {
		return nil, nil //nolint:nilnil // http.Server takes nil for plain HTTP
	}
	cert, err := tls.LoadX509KeyPair(c.CertFile, c.KeyFile)
	if err != nil {
		return nil, fmt.Errorf("%w: certificate: %w", ErrConfig, err)
	}
	return &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{cert}}, nil
}
