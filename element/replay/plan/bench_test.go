package plan_test

import (
	"bytes"
	"fmt"
	"strconv"
	"testing"

	"sipscope/element/replay/plan"
)

func BenchmarkNew(b *testing.B) {
	for _, name := range []string{"scenario-trapezoid.pcapng", "scenario-ua-fork.pcapng", "attended-transfer.pcap"} {
		b.Run(name, func(b *testing.B) {
			r := load(b, "../../../testdata/pcaps/"+name)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := plan.New(r.calls, r.text, plan.Options{}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// long is a recording of n messages in one call: a dialog of OPTIONS, whose causes and copies are all of one kind.
func long(tb testing.TB, n int) *recording {
	tb.Helper()
	var texts [][]byte
	for i := range n / 2 {
		request := fmt.Sprintf("OPTIONS sip:b@b.com SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:5061;branch=z9hG4bK%d\r\nFrom: <sip:a@b.com>;tag=1\r\n"+
			"To: <sip:b@b.com>;tag=2\r\nCall-ID: long\r\nCSeq: %d OPTIONS\r\nContent-Length: 0\r\n\r\n", i, i+1)
		response := "SIP/2.0 200 OK" + request[bytes.IndexByte([]byte(request), '\r'):]
		texts = append(texts, append([]byte{0x01, 0x12}, request...), append([]byte{0x12, 0x01}, response...))
	}
	return datagrams(tb, texts)
}

func BenchmarkNewLong(b *testing.B) {
	for _, n := range []int{1000, 8000} {
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			r := long(b, n)
			b.ReportAllocs()
			for b.Loop() {
				p, err := plan.New(r.calls, r.text, plan.Options{})
				if err != nil || len(p.Steps) != n {
					b.Fatal(len(p.Steps), err)
				}
			}
		})
	}
}

func BenchmarkYAML(b *testing.B) {
	r := long(b, 1000)
	p, err := plan.New(r.calls, r.text, plan.Options{})
	if err != nil {
		b.Fatal(err)
	}
	var file bytes.Buffer
	if err := p.WriteYAML(&file); err != nil {
		b.Fatal(err)
	}
	b.Run("write", func(b *testing.B) {
		b.ReportAllocs()
		b.SetBytes(int64(file.Len()))
		for b.Loop() {
			var buf bytes.Buffer
			if err := p.WriteYAML(&buf); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("read", func(b *testing.B) {
		b.ReportAllocs()
		b.SetBytes(int64(file.Len()))
		for b.Loop() {
			if _, err := plan.Read(bytes.NewReader(file.Bytes()), "a.yaml"); err != nil {
				b.Fatal(err)
			}
		}
	})
}
