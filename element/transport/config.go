package transport

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net/netip"
	"time"
)

// Errors of an Endpoint. What Handler.Failed is given wraps one of them, or an error of the system.
var (
	// ErrClosed says that the endpoint has ended, or has run already.
	ErrClosed = errors.New("transport closed")
	// ErrNoListener says that there is no own address for a hop's transport and address family.
	ErrNoListener = errors.New("no own address of this transport and address family")
	// ErrNoCertificate says that a TLS or WSS listener was asked for without a certificate.
	ErrNoCertificate = errors.New("a TLS listener needs a certificate")
	// ErrAddress says that a hop names no transport, no address or no port.
	ErrAddress = errors.New("no address to send to")
	// ErrTooLarge says that a message is larger than its transport carries.
	ErrTooLarge = errors.New("message too large for the transport")
	// ErrConnGone says that the connection has ended and that the peer cannot be called back.
	ErrConnGone = errors.New("connection has ended")
	// ErrSlow says that the peer does not read what it is sent.
	ErrSlow = errors.New("peer does not read")
	// ErrTooMany says that the limit of connections is reached and none is idle.
	ErrTooMany = errors.New("too many connections")
	// ErrMemory says that all connections together held too much, and this one most.
	ErrMemory = errors.New("connections hold too much memory")
	// ErrIdle says that a connection was closed since nothing came over it.
	ErrIdle = errors.New("connection idle")
	// ErrStream says that what came over a connection is not SIP, or no message that has an end.
	ErrStream = errors.New("not a SIP stream")
)

// Config says what an Endpoint does. Zero values stand for the defaults; a negative duration means never.
type Config struct {
	Listen []Listen // where to listen; at least one
	Tap    Tap      // sees all messages; nil for none
	// Accept is asked by the loop whose connections are taken. One that it does not want is reset before anything is sent
	// or read, handshakes included, and counted as refused. nil: all.
	Accept func(remote netip.AddrPort) bool
	// Ended is told by the loop, once, of a connection that the peer has closed, which io.EOF says, that broke, that brought
	// no SIP, or that could not be made; not of one that is closed from here. nil: nobody.
	Ended func(proto Proto, remote netip.AddrPort, err error)

	MTU         int // bytes; a longer request to a UDP hop goes by TCP (RFC 3261 18.1.1); 0: 1300, negative: never
	SocketBytes int // socket buffers of UDP, each way, as far as the system allows; 0: 4 MiB

	MaxHead    int // bytes of a start line with its headers over a stream; 0: 64 KiB. Beyond: 513
	MaxMessage int // bytes of a message over a stream or in a frame; 0: 1 MiB. Beyond: 413
	MaxConns   int // connections, both ways; 0: 10,000. Beyond, the one idle longest is closed, or a new one refused
	MaxQueue   int // bytes that wait for one connection; 0: 4 MiB. Beyond, the connection is dropped
	Memory     int // bytes that all connections hold, both ways; 0: 256 MiB. Beyond, those that hold most are dropped

	DialTimeout    time.Duration // from the first message to the open connection, handshakes included; 0: 5 s
	MessageTimeout time.Duration // from the first byte of a message to its last, and for handshakes; 0: 15 s
	WriteTimeout   time.Duration // for the peer to take what is written; 0: 10 s
	IdleTimeout    time.Duration // without a message or keep-alive; 0: 15 min; a tenth for one that sent none ever
	KeepAlive      time.Duration // pings on connections made from here (RFC 5626 3.5.1); 0: none
	FlushTimeout   time.Duration // at the end, for what is queued; 0: 2 s

	Certificates []tls.Certificate // own ones, for TLS and WSS; see SelfSigned
	RootCAs      *x509.CertPool    // whom to believe; nil: the system's
	Insecure     bool              // believe any certificate (tests)
	// OwnOnly has no certificates believed but those of Certificates, whatever they name: both ends of all connections are
	// this endpoint. It goes before RootCAs and Insecure.
	OwnOnly bool
	// KeyLog gets the secrets of all TLS connections, a line a write, in NSS format (SSLKEYLOGFILE), before anything is
	// encrypted with them: whoever has them can read a capture of it. Writes come one after the other; one that fails
	// ends the connection. nil: nobody.
	KeyLog io.Writer
	WSPath string // path to ask for as a client; "": "/"
}

// withDefaults fills in what is zero.
func (c Config) withDefaults() Config {
	orInt := func(v *int, d int) {
		if *v == 0 {
			*v = d
		}
	}
	orTime := func(v *time.Duration, d time.Duration) {
		switch {
		case *v == 0:
			*v = d
		case *v < 0:
			*v = never
		}
	}
	orInt(&c.MTU, 1300)
	orInt(&c.SocketBytes, 4<<20)
	orInt(&c.MaxHead, 64<<10)
	orInt(&c.MaxMessage, 1<<20)
	orInt(&c.MaxConns, 10_000)
	orInt(&c.MaxQueue, 4<<20)
	orInt(&c.Memory, 256<<20)
	orTime(&c.DialTimeout, 5*time.Second)
	orTime(&c.MessageTimeout, 15*time.Second)
	orTime(&c.WriteTimeout, 10*time.Second)
	orTime(&c.IdleTimeout, 15*time.Minute)
	orTime(&c.FlushTimeout, 2*time.Second)
	if c.KeepAlive < 0 {
		c.KeepAlive = 0
	}
	if c.WSPath == "" {
		c.WSPath = "/"
	}
	return c
}

// never is a time that no program sees. It can be added to the present without overflow.
const never = 100 * 365 * 24 * time.Hour
