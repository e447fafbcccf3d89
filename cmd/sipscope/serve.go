package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"sipscope/capture"
	"sipscope/correlate"
	"sipscope/correlate/stats"
	"sipscope/render/html"
	"sipscope/render/ladder"
	"sipscope/web"
)

type serveCommand struct {
	input
	listen    string
	token     string
	user      string
	password  string
	cert, key string
	title     string
	upload    string
}

func newServe(std stdio) *cobra.Command {
	c := &serveCommand{input: input{io: std}}
	cmd := &cobra.Command{
		Use:   "serve FILE...",
		Short: "Show calls in a browser, while they are read",
		Long: `Serve the pages of a report over HTTP: overview, call list, ladders and messages, live while the captures are read,
with the filter language, downloads, a JSON API (/api/v1/openapi.json), /metrics for Prometheus and /healthz.

It listens on loopback only. To listen elsewhere give a token, or a user and a password: whoever reaches the page can read
every message. With --cert and --key it speaks TLS.`,
		Example: `  sipscope serve trace.pcap                        then open http://127.0.0.1:8060/
  sipscope serve trace.pcap --listen 127.0.0.1:9000
  sipscope serve trace.pcap --listen 0.0.0.0:8060 --token-file /run/secrets/sipscope --cert cert.pem --key key.pem
  tcpdump -U -w - port 5060 | sipscope serve -
  sipscope serve --upload 200MB                    look at captures that a browser sends`,
		RunE: c.run,
	}
	f := cmd.Flags()
	f.StringVar(&c.listen, "listen", "127.0.0.1:8060", "address and port; :0 takes a free port")
	f.StringVar(&c.token, "token-file", "", "file with a token that readers must show (Bearer, or ?token= once)")
	f.StringVar(&c.user, "user", "", "user that readers must be; the password is in $SIPSCOPE_PASSWORD or --password-file")
	f.StringVar(&c.password, "password-file", "", "file with the password")
	f.StringVar(&c.cert, "cert", "", "TLS certificate chain, PEM")
	f.StringVar(&c.key, "key", "", "TLS private key, PEM")
	f.StringVar(&c.title, "title", "", "title of the pages (default: the name of the capture)")
	f.StringVar(&c.upload, "upload", "", "allow uploading captures up to this size, such as 200MB (default: not allowed)")
	c.flags(f)
	f.IntVarP(&c.maxCalls, "limit", "l", 0, "the same as --max-calls")
	return cmd
}

// run serves until it is interrupted.
func (c *serveCommand) run(cmd *cobra.Command, args []string) error {
	c.looksOn = true
	cfg, err := c.config()
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt)
	defer stop()
	if len(args)+len(c.files) == 0 && c.upload != "" {
		if cfg.Data, err = emptyData(ctx); err != nil {
			return err
		}
		return c.serve(ctx, cfg)
	}
	d, err := c.open(ctx, cmd, args, true)
	if err != nil {
		return err
	}
	s, err := c.start(ctx, d)
	if err != nil {
		return err
	}
	defer s.close()
	cfg.Data = s.data()
	if cfg.Title == "" {
		cfg.Title = s.door.name
	}
	if err = c.serve(ctx, cfg); err != nil {
		return err
	}
	if err = s.err(); errors.Is(err, context.Canceled) {
		return nil // somebody has seen enough
	}
	return err
}

func (c *serveCommand) serve(ctx context.Context, cfg web.Config) error {
	server, err := web.New(cfg)
	if errors.Is(err, web.ErrOpen) {
		return usagef("try: --token-file FILE, or --user NAME --password-file FILE", "%w", err)
	}
	if err != nil {
		return usageError{err: err}
	}
	if err = server.Listen(ctx); err != nil {
		return usageError{err: err, hint: "choose another address with --listen"}
	}
	scheme := "http"
	if c.cert != "" {
		scheme = "https"
	}
	what := cfg.Title
	if what == "" {
		what = "uploads"
	}
	fmt.Fprintf(c.io.err, "serving %s on %s://%s/ (Ctrl-C ends it)\n", what, scheme, browsable(server.Addr()))
	return server.Serve(ctx)
}

// browsable is an address that a browser on this machine can open.
func browsable(a net.Addr) string {
	host, port, err := net.SplitHostPort(a.String())
	if ip := net.ParseIP(host); err == nil && ip != nil && ip.IsUnspecified() {
		return net.JoinHostPort("127.0.0.1", port)
	}
	return a.String()
}

func (c *serveCommand) config() (web.Config, error) {
	pages, err := newPages()
	if err != nil {
		return web.Config{}, err
	}
	cfg := web.Config{
		Listen: c.listen, CertFile: c.cert, KeyFile: c.key, Title: c.title, Pages: pages, Version: version,
		Log: slog.New(slog.NewTextHandler(c.io.err, &slog.HandlerOptions{Level: slog.LevelWarn})), Now: time.Now,
	}
	if (c.cert == "") != (c.key == "") {
		return cfg, usagef("try: --cert cert.pem --key key.pem", "--cert and --key belong together")
	}
	if c.token != "" {
		if cfg.Auth.Token, err = secret(c.token); err != nil {
			return cfg, err
		}
	}
	cfg.Auth.User = c.user
	if c.user != "" {
		cfg.Auth.Password = os.Getenv("SIPSCOPE_PASSWORD")
		if c.password != "" {
			if cfg.Auth.Password, err = secret(c.password); err != nil {
				return cfg, err
			}
		}
		if cfg.Auth.Password == "" {
			return cfg, usagef("put it into $SIPSCOPE_PASSWORD or name a file with --password-file", "--user %s has no password", c.user)
		}
	}
	if c.upload != "" {
		if cfg.UploadLimit, err = parseSize("--upload", c.upload); err != nil {
			return cfg, err
		}
		cfg.Upload = c.uploaded
	}
	return cfg, nil
}

// secret reads a file with one line.
func secret(path string) (string, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return "", usageError{err: err}
	}
	s := strings.TrimSpace(string(b))
	if s == "" {
		return "", usagef("it holds one line", "%s is empty", path)
	}
	return s, nil
}

// served is a run whose calls are shown.
type served struct {
	*session

	temp string // an uploaded capture, removed in the end
}

// start reads a door in the background, which it closes in the end.
func (c *serveCommand) start(ctx context.Context, d *door) (*served, error) {
	run, err := c.begin(ctx, d, correlate.Config{})
	if err != nil {
		d.close()
		return nil, err
	}
	return &served{session: run}, nil
}

func (s *served) close() {
	s.end()
	s.door.close()
	if s.temp != "" {
		_ = os.Remove(s.temp)
	}
}

// data is what web shows of a run.
func (s *session) data() web.Data {
	m := newMediaOf(s.board, s.text)
	return web.Data{
		Streams: m.streams, Lanes: m.lanes, Findings: m.findings, Board: s.board, Save: s.door.frames, Stats: func(ctx context.Context) (stats.Result, error) {
			return s.figures.result(ctx, s.board)
		},
		Err: s.err, Progress: s.door.progress, Report: s.report, Status: s.door.status, Live: s.live(),
	}
}

// nothing is a capture without packets.
type nothing struct{}

// Next implements capture.Source.
func (nothing) Next(context.Context, *capture.Batch) error { return io.EOF }

// emptyData is what is shown before the first upload.
func emptyData(ctx context.Context) (web.Data, error) {
	board := &correlate.Board{}
	err := correlate.Run(ctx, nothing{}, correlate.Config{Workers: 1, Board: board})
	return web.Data{Board: board, Stats: func(context.Context) (stats.Result, error) {
		var c stats.Collector
		return c.Result(stats.Totals{}), nil
	}}, err
}

// uploaded keeps a capture that a browser sent in a temporary file, and reads it. web bounds its size.
func (c *serveCommand) uploaded(ctx context.Context, name string, body io.Reader) (*web.Data, error) {
	f, err := os.CreateTemp("", "sipscope-upload-*")
	if err != nil {
		return nil, err
	}
	_, err = io.Copy(f, body)
	if err = errors.Join(err, f.Close()); err != nil {
		_ = os.Remove(f.Name())
		return nil, err
	}
	d, err := openFiles([]string{f.Name()}, true)
	if err != nil {
		_ = os.Remove(f.Name())
		return nil, err
	}
	d.name = name
	s, err := c.start(context.WithoutCancel(ctx), d)
	if err != nil {
		_ = os.Remove(f.Name())
		return nil, err
	}
	s.temp = f.Name()
	data := s.data()
	data.Close = func() error {
		s.close()
		return nil
	}
	return &data, nil
}

// pages draws what web serves.
type pages struct{ files html.Files }

func newPages() (*pages, error) {
	files, err := html.LiveFiles()
	return &pages{files: files}, err
}

// Shell implements web.Pages.
func (p *pages) Shell(w io.Writer, s web.Shell) error {
	l := html.Live{View: s.View, Title: s.Title, Version: version, Base: s.Base, Upload: s.Upload}
	if s.Call != nil {
		f := liveFlow(s.Call, s.Text, s.Media)
		l.Flow = &f
	}
	return html.WriteLive(w, &l)
}

func liveFlow(c *correlate.Call, text func(message int) []byte, m web.Media) html.Flow {
	return html.Flow{
		Calls: []correlate.Call{*c}, Text: func(_, message int) []byte { return text(message) },
		Ladder: ladder.Options{Streams: m.StreamsOf, Lanes: m.LanesOf, Findings: m.FindingsOf},
	}
}

// CallJSON implements web.Pages.
func (p *pages) CallJSON(dst []byte, c *correlate.Call, text func(message int) []byte, m web.Media) ([]byte, error) {
	var e html.Encoder
	f := liveFlow(c, text, m)
	return e.Append(dst, &f)
}

// OverviewJSON implements web.Pages.
func (p *pages) OverviewJSON(dst []byte, o web.Overview) ([]byte, error) {
	overview, err := html.OverviewOf(&o.Result, o.Calls)
	if err != nil {
		return dst, err
	}
	return overview.AppendJSON(dst)
}

// Assets implements web.Pages.
func (p *pages) Assets() fs.FS { return p.files }
