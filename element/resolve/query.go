package resolve

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/miekg/dns"
)

const (
	resolvConf = "/etc/resolv.conf"
	hostsFile  = "/etc/hosts"
	maxHosts   = 4 << 20 // bytes of it that are read
	noServer   = "none"
	maxServers = 3    // RFC 1035 7.2 leaves it open; resolvers read three
	udpSize    = 1232 // bytes: what EDNS asks for without fragments (DNS flag day 2020)
	maxStray   = 16   // datagrams that are no answer to our question, before an attempt is given up
	maxKeep    = 24 * time.Hour
	// negativeKeep bounds how long a "there is none" is kept; RFC 2308 5 allows hours, a person who mends a zone does not.
	negativeKeep = 5 * time.Minute
	failureKeep  = 5 * time.Second // RFC 9520 3.2: 1 s at least
)

// servers gives the DNS servers to ask, as host:port.
func servers(cfg *Config) []string {
	list := []string{}
	switch {
	case cfg.Post == nil || strings.EqualFold(cfg.Server, noServer):
	case cfg.Server != "":
		list = append(list, withPort(cfg.Server, "53"))
	default:
		conf, err := dns.ClientConfigFromFile(resolvConf)
		if err != nil {
			return list
		}
		for _, s := range conf.Servers[:min(len(conf.Servers), maxServers)] {
			list = append(list, net.JoinHostPort(s, conf.Port))
		}
	}
	return list
}

func withPort(server, port string) string {
	if _, err := netip.ParseAddrPort(server); err == nil {
		return server
	}
	bare := strings.TrimSuffix(strings.TrimPrefix(server, "["), "]")
	if _, err := netip.ParseAddr(bare); err == nil {
		return net.JoinHostPort(bare, port)
	}
	if _, _, err := net.SplitHostPort(server); err == nil {
		return server
	}
	return net.JoinHostPort(server, port)
}

// asker asks DNS servers. It is a value, so that goroutines share nothing.
type asker struct {
	servers []string
	timeout time.Duration
}

// ask gives the answer to q. Aliases are followed (RFC 1034 3.6.2), within an answer and by further questions.
func (k asker) ask(ctx context.Context, q question) answer {
	name, keep := q.name, maxKeep
	for range maxAliases {
		m, err := k.reply(ctx, question{name, q.kind})
		if err != nil {
			return answer{err: err, ttl: int64(failureKeep)}
		}
		a, end, ttl, err := read(m, name, q.kind)
		if err != nil {
			return answer{err: err, ttl: int64(failureKeep)}
		}
		keep = min(keep, ttl)
		if a.ttl = int64(keep); !a.empty() || end == name {
			return a
		}
		name = end
	}
	return answer{err: fmt.Errorf("%w: aliases", ErrLoop), ttl: int64(failureKeep)}
}

// reply asks one server after the other.
func (k asker) reply(ctx context.Context, q question) (*dns.Msg, error) {
	var last error
	for range attempts {
		for _, server := range k.servers {
			m, err := k.exchange(ctx, server, q)
			if err == nil {
				return m, nil
			}
			if ctx.Err() != nil {
				return nil, ErrClosed
			}
			// An answer that is an error says more than silence.
			if last == nil || errors.Is(last, ErrTimeout) {
				last = fmt.Errorf("%s: %w", server, err)
			}
		}
	}
	return nil, cmp.Or(last, ErrNoDNS)
}

// exchange asks one server once: by UDP, without EDNS when it does not know that (RFC 6891 7), and by TCP when the answer
// did not fit (RFC 7766 5).
func (k asker) exchange(ctx context.Context, server string, q question) (*dns.Msg, error) {
	edns := true
	m, err := k.over(ctx, "udp", server, q, edns)
	if err == nil && m.Rcode == dns.RcodeFormatError && m.IsEdns0() == nil {
		edns = false
		m, err = k.over(ctx, "udp", server, q, edns)
	}
	if err == nil && m.Truncated {
		m, err = k.over(ctx, "tcp", server, q, edns)
	}
	if err != nil {
		return nil, err
	}
	switch m.Rcode {
	case dns.RcodeSuccess, dns.RcodeNameError:
		return m, nil
	}
	return nil, fmt.Errorf("%w: %s", ErrServer, cmp.Or(dns.RcodeToString[m.Rcode], strconv.Itoa(m.Rcode)))
}

func (k asker) over(ctx context.Context, network, server string, q question, edns bool) (*dns.Msg, error) {
	ctx, cancel := context.WithTimeout(ctx, k.timeout)
	defer cancel()
	var d net.Dialer
	c, err := d.DialContext(ctx, network, server)
	if err != nil {
		return nil, failure(ctx, err)
	}
	defer c.Close()
	stop := context.AfterFunc(ctx, func() { _ = c.Close() }) // ends reads and writes when time is up or Close is called
	defer stop()

	ask := new(dns.Msg)
	ask.SetQuestion(dns.Fqdn(q.name), q.kind)
	if edns {
		ask.SetEdns0(udpSize, false)
	}
	conn := &dns.Conn{Conn: c, UDPSize: udpSize}
	if err := conn.WriteMsg(ask); err != nil {
		return nil, failure(ctx, err)
	}
	for range maxStray {
		m, err := conn.ReadMsg()
		if err != nil {
			var netErr net.Error
			if network != "udp" || errors.As(err, &netErr) {
				return nil, failure(ctx, err)
			}
			continue // a datagram that cannot be read: anybody may have sent it
		}
		if answers(m, ask) {
			return m, nil
		}
	}
	return nil, fmt.Errorf("%w: only answers to other questions", ErrServer)
}

// answers reports whether m answers ask (RFC 5452 9.1). A server that could not read the question may not repeat it.
func answers(m, ask *dns.Msg) bool {
	if m.Id == ask.Id && m.Response && m.Rcode == dns.RcodeFormatError && len(m.Question) == 0 {
		return true
	}
	return m.Id == ask.Id && m.Response && len(m.Question) == 1 &&
		m.Question[0].Qtype == ask.Question[0].Qtype && m.Question[0].Qclass == ask.Question[0].Qclass &&
		strings.EqualFold(m.Question[0].Name, ask.Question[0].Name)
}

func failure(ctx context.Context, err error) error {
	var netErr net.Error
	if ctx.Err() != nil || errors.As(err, &netErr) && netErr.Timeout() {
		return ErrTimeout
	}
	return fmt.Errorf("%w: %w", ErrServer, err)
}

// read takes the records of a kind at name out of an answer. end is the name that aliases lead to, keep how long the
// answer may be kept.
func read(m *dns.Msg, name string, kind uint16) (a answer, end string, keep time.Duration, err error) {
	if end, keep, err = aliases(m, name); err != nil {
		return a, end, 0, err
	}
	for _, rr := range m.Answer {
		if normal(rr.Header().Name) != end || rr.Header().Rrtype != kind || a.size() >= maxRecords {
			continue
		}
		if a.add(rr) {
			keep = min(keep, seconds(rr.Header().Ttl))
		}
	}
	if a.empty() {
		keep = min(keep, negative(m))
	}
	return a, end, keep, nil
}

// aliases follows CNAME records from name on.
func aliases(m *dns.Msg, name string) (end string, keep time.Duration, err error) {
	end, keep = name, maxKeep
	for range maxAliases {
		next := ""
		for _, rr := range m.Answer {
			if c, ok := rr.(*dns.CNAME); ok && normal(c.Hdr.Name) == end {
				next = normal(c.Target)
				keep = min(keep, seconds(c.Hdr.Ttl))
				break
			}
		}
		if next == "" {
			return end, keep, nil
		}
		end = next
	}
	return end, 0, fmt.Errorf("%w: aliases", ErrLoop)
}

// negative is how long to believe that there is nothing (RFC 2308 5).
func negative(m *dns.Msg) time.Duration {
	for _, rr := range m.Ns {
		if soa, ok := rr.(*dns.SOA); ok {
			return min(negativeKeep, seconds(soa.Hdr.Ttl), seconds(soa.Minttl))
		}
	}
	return failureKeep
}

func seconds(ttl uint32) time.Duration { return min(time.Duration(ttl)*time.Second, maxKeep) }

func (a *answer) size() int { return len(a.addrs) + len(a.srvs) + len(a.naptrs) }

func (a *answer) empty() bool { return a.size() == 0 }

// add takes one record, and reports false for one that says nothing usable.
func (a *answer) add(rr dns.RR) bool {
	switch r := rr.(type) {
	case *dns.A:
		return a.address(r.A)
	case *dns.AAAA:
		return a.address(r.AAAA)
	case *dns.SRV:
		a.srvs = append(a.srvs, srvRecord{r.Priority, r.Weight, r.Port, normal(r.Target)})
	case *dns.NAPTR:
		a.naptrs = append(a.naptrs, naptrRecord{
			r.Order, r.Preference, strings.ToLower(r.Flags), strings.ToLower(r.Service), normal(r.Replacement),
		})
	default:
		return false
	}
	return true
}

func (a *answer) address(ip net.IP) bool {
	addr, ok := netip.AddrFromSlice(ip)
	if !ok || addr.IsUnspecified() {
		return false
	}
	a.addrs = append(a.addrs, hostAddr{addr: addr.Unmap()})
	return true
}
