package correlate_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"sipscope/correlate"
	"sipscope/decode"
)

// fragmented makes fragments of what write writes as one frame, of size bytes of the datagram each (RFC 791 3.2), and writes
// them in the order of order.
func (c *mediaCapture) fragmented(size int, order []int, write func()) {
	start := c.Len()
	write()
	whole := bytes.Clone(c.Bytes()[start:])
	c.Truncate(start)
	record, link, datagram := whole[:16], whole[16:30], whole[50:]
	for _, k := range order {
		part := datagram[min(k*size, len(datagram)):min((k+1)*size, len(datagram))]
		header := bytes.Clone(whole[30:50])
		binary.BigEndian.PutUint16(header[2:], uint16(20+len(part)))
		flags := uint16(k * size / 8)
		if (k+1)*size < len(datagram) {
			flags |= 0x2000
		}
		binary.BigEndian.PutUint16(header[6:], flags)
		head := bytes.Clone(record)
		binary.LittleEndian.PutUint32(head, uint32(c.now/1e6))
		binary.LittleEndian.PutUint32(head[4:], uint32(c.now%1e6))
		binary.LittleEndian.PutUint32(head[8:], uint32(34+len(part)))
		binary.LittleEndian.PutUint32(head[12:], uint32(34+len(part)))
		c.Write(head)
		c.Write(link)
		c.Write(header)
		c.Write(part)
		c.now += 100
	}
}

// TestMediaInFragments holds that RTP and RTCP that came in fragments, also out of order, are counted like any other, among
// packets of the same stream that came whole, and that neither workers nor batches change that.
func TestMediaInFragments(t *testing.T) {
	t.Parallel()
	c := &mediaCapture{now: 1_700_000_000_000_000}
	c.Write([]byte{0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 1, 0, 0, 0})
	const a, b = "10.0.0.1:5060", "10.0.0.2:5060"
	c.sip(a, b, "INVITE sip:b@10.0.0.2 SIP/2.0", "1 INVITE", "", 4000)
	c.sip(b, a, "SIP/2.0 200 OK", "1 INVITE", ";tag=b", 6000)
	c.sip(a, b, "ACK sip:b@10.0.0.2 SIP/2.0", "1 ACK", ";tag=b", 0)
	picture := bytes.Repeat([]byte{0x7c}, 3000)
	for n := range 60 {
		named := func() { c.udp("10.0.0.1:4000", "10.0.0.2:6000", rtpPacket(0xa, uint16(n), uint32(n)*160, 8, picture)) }
		unnamed := func() { c.udp("10.0.0.8:7000", "10.0.0.9:8000", rtpPacket(0xc, uint16(n), uint32(n)*160, 0, picture)) }
		switch n % 3 {
		case 0:
			c.fragmented(1480, []int{0, 1, 2}, named)
		case 1:
			named()
		default:
			c.fragmented(1480, []int{2, 0, 1}, named)
		}
		c.fragmented(1480, []int{1, 2, 0}, unnamed)
		c.udp("10.0.0.2:6000", "10.0.0.1:4000", rtpPacket(0xb, uint16(n), uint32(n)*160, 8, picture[:160]))
		c.now += 20_000
	}
	report := []byte{0x81, 201, 0, 7, 0, 0, 0, 0xb, 0, 0, 0, 0xa, 13, 0, 0, 5, 0, 1, 0, 50, 0, 0, 0, 16, 0, 0, 0, 0, 0, 0, 0, 0}
	c.fragmented(16, []int{0, 1, 2}, func() { c.udp("10.0.0.2:6001", "10.0.0.1:4001", report) })
	path := filepath.Join(t.TempDir(), "fragments.pcap")
	if err := os.WriteFile(path, c.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	var first string
	for _, workers := range []int{1, 2, 8} {
		board, err := run(t, path, correlate.Config{Workers: workers})
		if err != nil {
			t.Fatal(err)
		}
		all := board.Streams()
		acct, _ := board.Accounting()
		if text := fmt.Sprintf("%+v %+v", all, acct); first == "" {
			first = text
		} else if text != first {
			t.Errorf("%d workers:\n%s\nwant\n%s", workers, text, first)
		}
		type row struct {
			src     string
			packets uint64
			lost    int64
			bytes   uint64
			reports uint64
		}
		var got []row
		for i := range all {
			got = append(got, row{all[i].Src.String(), all[i].Packets, all[i].Lost, all[i].Bytes, all[i].Reports.Receiver})
		}
		want := []row{
			{"10.0.0.1:4000", 60, 0, 180_000, 1},
			{"10.0.0.8:7000", 60, 0, 180_000, 0},
			{"10.0.0.2:6000", 60, 0, 9600, 0},
		}
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("%d workers: got %+v, want %+v", workers, got, want)
		}
		rtp, rtcp := acct.Outcomes[decode.OutcomeRTP], acct.Outcomes[decode.OutcomeRTCP]
		if rtp != 40*3+20+60*3+60 || rtcp != 3 || acct.Outcomes[decode.OutcomeSIP] != 3 || acct.Packets != rtp+rtcp+3 {
			t.Errorf("%d workers: %+v", workers, acct)
		}
	}
}
