package web

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"html/template"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"sipscope/correlate/stats"
)

// Limits of connections.
const (
	headerWait  = 10 * time.Second
	requestWait = 30 * time.Second
	answerWait  = 60 * time.Second // from the end of the request's header; streams and downloads have a deadline a write
	idleWait    = 2 * time.Minute
	drainWait   = 5 * time.Second // for answers under way when the server ends
	maxHeader   = 64 << 10        // bytes
)

// maxHeavy is how many downloads, reports and large ladders are made at the same time.
const maxHeavy = 4

// Server serves the live pages. Make it with New, then either Run it, or Listen and Serve, or put Handler into a server
// of your own and Close it in the end.
type Server struct {
	cfg      Config
	tls      *tls.Config
	guard    *guard
	plain    *template.Template
	main     *site
	uploads  uploads
	metrics  *metrics
	assets   assets
	mux      *http.ServeMux
	origin   *http.CrossOriginProtection
	instance string // names this run in the ids of events
	heavy    gate
	streams  atomic.Int64  // open event streams
	closing  chan struct{} // closed when streams are to end
	close    sync.Once
	closeErr error

	mu       sync.Mutex
	listener net.Listener
}

// New makes a server; nothing listens yet. Errors wrap ErrOpen, when readers beyond loopback need not say who they are,
// or ErrConfig.
func New(cfg Config) (*Server, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	s := &Server{cfg: cfg, closing: make(chan struct{}), heavy: make(gate, maxHeavy), origin: http.NewCrossOriginProtection()}
	var err error
	if s.tls, err = cfg.tlsConfig(); err != nil {
		return nil, err
	}
	if s.plain, err = parsePlain(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrConfig, err)
	}
	var instance [4]byte
	_, _ = rand.Read(instance[:]) // never fails (crypto/rand)
	s.instance = hex.EncodeToString(instance[:])
	s.guard = newGuard(&s.cfg)
	s.main = newSite(s, "", cfg.Title, cfg.Data)
	s.assets.from = cfg.Pages.Assets()
	s.metrics = newMetrics(&s.cfg.Data, cfg.Version, s.streams.Load, func(ctx context.Context) (stats.Result, error) {
		return s.main.figures.get(ctx, struct{}{})
	})
	s.mux = s.handlers()
	return s, nil
}

// Handler answers all requests.
func (s *Server) Handler() http.Handler { return http.HandlerFunc(s.serve) }

// Listen opens the address. Its errors are those of net, and ErrOpen when a name turns out to be no loopback.
func (s *Server) Listen(ctx context.Context) error {
	ln, err := (&net.ListenConfig{}).Listen(ctx, "tcp", s.cfg.Listen)
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	if host, _, err := net.SplitHostPort(ln.Addr().String()); err != nil || !isLoopback(host) && !s.cfg.Auth.enabled() {
		return errors.Join(fmt.Errorf("%s: %w", ln.Addr(), ErrOpen), ln.Close())
	}
	s.mu.Lock()
	s.listener = ln
	s.mu.Unlock()
	return nil
}

// Addr is the address that Listen opened, nil before.
func (s *Server) Addr() net.Addr {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.listener == nil {
		return nil
	}
	return s.listener.Addr()
}

// Run is Listen and Serve.
func (s *Server) Run(ctx context.Context) error {
	if err := s.Listen(ctx); err != nil {
		return err
	}
	return s.Serve(ctx)
}

// Serve answers until ctx is done: then event streams end at once, answers under way get 5 s, and what uploaded captures
// hold is freed. It returns nil after that, or the error that ended it, when all its goroutines have ended.
func (s *Server) Serve(ctx context.Context) error {
	s.mu.Lock()
	ln := s.listener
	s.mu.Unlock()
	if ln == nil {
		return fmt.Errorf("%w: Serve before Listen", ErrConfig)
	}
	base, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	server := &http.Server{
		Handler: s.Handler(), TLSConfig: s.tls, ReadHeaderTimeout: headerWait, ReadTimeout: requestWait,
		WriteTimeout: answerWait, IdleTimeout: idleWait, MaxHeaderBytes: maxHeader,
		BaseContext: func(net.Listener) context.Context { return base },
		ErrorLog:    slog.NewLogLogger(s.cfg.Log.Handler(), slog.LevelDebug), // connections that scanners break off
	}
	ended := make(chan error, 1)
	go func() {
		if s.tls != nil {
			ended <- server.ServeTLS(ln, "", "")
			return
		}
		ended <- server.Serve(ln)
	}()
	var err error
	select {
	case err = <-ended:
	case <-ctx.Done():
	}
	s.endStreams()
	drain, stop := context.WithTimeout(context.WithoutCancel(ctx), drainWait)
	defer stop()
	if server.Shutdown(drain) != nil {
		s.cfg.Log.LogAttrs(ctx, slog.LevelWarn, "answers broken off", slog.Duration("after", drainWait))
	}
	cancel()
	_ = server.Close() // Shutdown has closed the listener
	if err == nil {
		err = <-ended
	}
	if errors.Is(err, http.ErrServerClosed) {
		err = nil
	}
	return errors.Join(err, s.Close())
}

// endStreams ends the event streams.
func (s *Server) endStreams() {
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case <-s.closing:
	default:
		close(s.closing)
	}
}

// Close ends all requests and waits for them, and frees uploaded captures. Serve does it; it is for who uses Handler.
func (s *Server) Close() error {
	s.close.Do(func() {
		s.endStreams()
		s.closeErr = errors.Join(s.uploads.close(), s.main.close())
	})
	return s.closeErr
}

// site finds a capture: the first one for "", else one that was uploaded.
func (s *Server) site(id string) (*site, bool) {
	if id == "" {
		return s.main, true
	}
	return s.uploads.find(id)
}
