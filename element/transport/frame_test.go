package transport

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
)

// frame feeds stream to a framer in pieces and gives what it found.
func frame(stream string, cut func(rest int) int) (messages []string, f *framer) {
	f = &framer{maxHead: 1 << 10, maxMessage: 4 << 10}
	for len(stream) > 0 && f.status == 0 {
		n := copy(f.room(), stream[:max(1, min(len(stream), cut(len(stream))))])
		stream = stream[n:]
		f.take(n)
		for _, s := range f.messages {
			messages = append(messages, string(f.buf[s.from:s.to]))
		}
		if f.status == 0 {
			f.release()
		}
	}
	return messages, f
}

// sized is a message of n bytes, some thousand.
func sized(n int) string {
	const head = "OPTIONS sip:a@b SIP/2.0\r\nContent-Length: %d\r\n\r\n"
	body := n - len(fmt.Sprintf(head, 1000))
	return fmt.Sprintf(head, body) + strings.Repeat("x", body)
}

func TestFramer(t *testing.T) {
	t.Parallel()
	at := netip.MustParseAddrPort("192.0.2.1:5060")
	a, b := request(TCP, at, 1, 0), request(TCP, at, 2, 700)
	noLength := "OPTIONS sip:a@b SIP/2.0\r\nVia: SIP/2.0/TCP h\r\n\r\n"
	for _, tt := range []struct {
		name, stream string
		want         []string
		status, crlf int
	}{
		{"one", a, []string{a}, 0, 0},
		{"two", a + b, []string{a, b}, 0, 0},
		{"a part", a + b[:len(b)-1], []string{a}, 0, 0},
		{"line ends between", "\r\n" + a + "\r\n\r\n" + b + "\r\n", []string{a, b}, 0, 2},
		{"pings", "\r\n\r\n\r\n\r\n", nil, 0, 8},
		{"LF only", strings.ReplaceAll(a, "\r", "") + b, []string{strings.ReplaceAll(a, "\r", ""), b}, 0, 0},
		{"compact length", "OPTIONS sip:a@b SIP/2.0\nl: 2\n\nhi" + a, []string{"OPTIONS sip:a@b SIP/2.0\nl: 2\n\nhi", a}, 0, 0},
		{"no length", noLength + a, []string{noLength, a}, 0, 0},
		{"no length but a body", noLength + "v=0\r\n", []string{noLength}, -1, 0},
		{"garbage", "hello world\r\n", nil, -1, 0},
		{"HTTP", "GET / HTTP/1.1\r\nHost: a\r\n\r\n", nil, -1, 0},
		{"TLS", "\x16\x03\x01\x02\x00\x01\x00", nil, -1, 0},
		{"garbage after one", a + "xyz: 1\r\n", []string{a}, -1, 0},
		{"length is no number", "OPTIONS sip:a@b SIP/2.0\r\nContent-Length: x\r\n\r\n", nil, 400, 0},
		{"negative length", "OPTIONS sip:a@b SIP/2.0\r\nContent-Length: -5\r\n\r\n", nil, 400, 0},
		{"huge length", "OPTIONS sip:a@b SIP/2.0\r\nContent-Length: 99999999999999999999\r\n\r\n", nil, 400, 0},
		{"large length", "OPTIONS sip:a@b SIP/2.0\r\nContent-Length: 5000\r\n\r\n", nil, 413, 0},
		{"the largest", sized(4 << 10), []string{sized(4 << 10)}, 0, 0},
		{"one byte more", sized(4<<10 + 1), nil, 413, 0},
		{"endless head", "OPTIONS sip:a@b SIP/2.0\r\n" + strings.Repeat("X: y\r\n", 1000), nil, 513, 0},
		{"endless line", "OPTIONS sip:a@b SIP/2.0\r\nX: " + strings.Repeat("y", 2000), nil, 513, 0},
		{"head too long", "OPTIONS sip:a@b SIP/2.0\r\nX: " + strings.Repeat("y", 1100) + "\r\n\r\n", nil, 513, 0},
		{"endless start line", "OPTIONS sip:" + strings.Repeat("y", 20_000), nil, -1, 0},
		{"endless method", strings.Repeat("M", 200), nil, -1, 0},
	} {
		for _, step := range []int{1 << 20, 1, 2, 3, 7, 64, 1000} {
			got, f := frame(tt.stream, func(int) int { return step })
			if fmt.Sprintf("%q", got) != fmt.Sprintf("%q", tt.want) || f.status != tt.status || f.status == 0 && f.crlf != tt.crlf {
				t.Errorf("%s by %d bytes: %d messages, status %d, %d line ends; want %d, %d, %d",
					tt.name, step, len(got), f.status, f.crlf, len(tt.want), tt.status, tt.crlf)
			}
			if cap(f.buf) > 64<<10 {
				t.Errorf("%s: buffer of %d bytes", tt.name, cap(f.buf))
			}
		}
	}
}

// TestFramerEmptyLines does not keep line ends that nothing follows.
func TestFramerEmptyLines(t *testing.T) {
	t.Parallel()
	f := framer{maxHead: 1 << 10, maxMessage: 4 << 10}
	at := netip.MustParseAddrPort("192.0.2.1:5060")
	for range 1000 {
		room := f.room()
		room = room[:min(len(room), frameBytes)]
		for i := range room {
			room[i] = "\r\n"[i%2]
		}
		f.take(len(room))
	}
	for part := range strings.SplitAfterSeq(request(TCP, at, 1, 5), "\n") {
		f.take(copy(f.room(), part))
	}
	if cap(f.buf) > 2*frameBytes || len(f.messages) != 1 || f.status != 0 {
		t.Errorf("%d bytes, %d messages, status %d", cap(f.buf), len(f.messages), f.status)
	}
}

// FuzzFramer: cutting a stream anywhere gives the same messages, and nothing grows beyond what has come.
func FuzzFramer(f *testing.F) {
	at := netip.MustParseAddrPort("192.0.2.1:5060")
	f.Add(request(TCP, at, 1, 0)+"\r\n\r\n"+request(TCP, at, 2, 50), uint16(3))
	f.Add("OPTIONS sip:a@b SIP/2.0\nl: 2\n\nhi\r\n\r\nSIP/2.0 200 OK\r\n\r\n", uint16(1))
	f.Fuzz(func(t *testing.T, stream string, step uint16) {
		whole, f1 := frame(stream, func(rest int) int { return rest })
		cut, f2 := frame(stream, func(int) int { return int(step%97) + 1 })
		if strings.Join(whole, "|") != strings.Join(cut, "|") || len(whole) != len(cut) {
			t.Errorf("by %d: %q, want %q", step%97+1, cut, whole)
		}
		if (f1.status == 0) != (f2.status == 0) && f1.status != 513 && f2.status != 513 && f1.status != -1 && f2.status != -1 {
			t.Errorf("by %d: status %d, want %d", step%97+1, f2.status, f1.status)
		}
		if cap(f2.buf) > max(frameBytes, 2*(len(stream)+1)) {
			t.Errorf("%d bytes of buffer for %d of stream", cap(f2.buf), len(stream))
		}
	})
}
