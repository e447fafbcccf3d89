package query

import (
	"fmt"
	"testing"

	"sipscope/correlate"
	"sipscope/decode"
	"sipscope/decode/frame"
)

// summaries makes calls of which neighbours differ in nearly every field.
func summaries(n int) []correlate.Summary {
	states := correlate.States()
	calls := make([]correlate.Summary, n)
	for i := range calls {
		user := fmt.Sprintf("1%05d", i)
		calls[i] = correlate.Summary{
			Num: uint32(i + 1), CallID: user + "@10.0.0.1", Method: "INVITE", State: states[i%len(states)],
			First: int64(i) * 1e9, Last: int64(i)*1e9 + 5e9,
			From: correlate.Party{
				Display: "User " + user, User: user, Host: "example.com",
				URI: "sip:" + user + "@example.com",
			},
			To:   correlate.Party{User: "2" + user, Host: "example.org", URI: "sip:2" + user + "@example.org"},
			RURI: "sip:2" + user + "@example.org",
			Src:  frame.Endpoint4([]byte{10, 0, byte(i >> 8), byte(i)}, 5060),
			Dst:  frame.Endpoint4([]byte{192, 0, 2, byte(i)}, uint16(5060+i%7)),
			Code: uint16(100 + i%600), Reason: "Busy Here", Cause: int32(i%128 - 1),
			Messages: uint32(i % 1000), Retransmissions: uint32(i % 5), Transactions: uint32(i % 7),
			Hops: uint32(1 + i%3),
			PDD:  int64(i%4000-1) * 1e6, Setup: int64(i%9000-1) * 1e6, Duration: int64(i%90000-1) * 1e6,
			UserAgent: "Linphone/" + user, Server: "Asterisk PBX", Transports: 1<<decode.UDP | uint8(i%2)<<decode.TCP,
			Columns: []string{"account-" + user}, Words: uint64(i),
		}
	}
	return calls
}

func BenchmarkMatch(b *testing.B) {
	const n = 100_000
	calls := summaries(n)
	for _, src := range []string{
		`alice`,
		`status >= 400`,
		`method == "INVITE" && status >= 400 && from.user startsWith "100"`,
		`src in "10.0.0.0/8" and pdd > 150ms`,
		`header.X-Account-ID == "4711" or "TCP" in transports`,
		`ua matches "^Lin.*[0-9]+7$"`,
		`state in ["busy", "failed"] and start > "1970-01-01 10:00"`,
		`src.ip startsWith "10.0.1" or dst endsWith ":5061"`,
	} {
		b.Run(src, func(b *testing.B) {
			q, err := Compile(src, Options{})
			if err != nil {
				b.Fatal(err)
			}
			q.Bind([]string{"X-Account-ID"})
			b.ReportAllocs()
			for b.Loop() {
				for i := range calls {
					q.Match(&calls[i])
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/call")
		})
	}
}

func BenchmarkCompile(b *testing.B) {
	const src = `method == "INVITE" && status >= 400 && from.user startsWith "100"`
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Compile(src, Options{}); err != nil {
			b.Fatal(err)
		}
	}
}
