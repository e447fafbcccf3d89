package web

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"time"
)

// Exporter serves the figures of a capture for Prometheus where no pages are served: GET /metrics, and nothing else.
type Exporter struct {
	server *http.Server
	addr   net.Addr
	ended  chan struct{}
}

// Export listens on an address and begins to serve. Figures name no user and no message, so nobody has to log in.
func Export(ctx context.Context, address string, data *Data, version string) (*Exporter, error) {
	ln, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", newMetrics(data, version, nil, data.stats).handler())
	e := &Exporter{
		server: &http.Server{
			Handler: mux, ReadHeaderTimeout: 10 * time.Second, ReadTimeout: 10 * time.Second, WriteTimeout: time.Minute,
			IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 16 << 10,
		},
		addr: ln.Addr(), ended: make(chan struct{}),
	}
	go func() {
		defer close(e.ended)
		_ = e.server.Serve(ln) // ends with Close
	}()
	return e, nil
}

// Addr is where it listens.
func (e *Exporter) Addr() net.Addr { return e.addr }

// Close ends it, with requests under way.
func (e *Exporter) Close() error {
	err := e.server.Close()
	<-e.ended
	return err
}
