package decode_test

import (
	"bytes"
	stdtls "crypto/tls"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"testing"

	"sipscope/capture"
	"sipscope/decode"
)

// joinAll runs packets through the three steps, some a batch. The key log comes with the batch keysAt; beyond them all it
// comes with the last one, after all packets.
func joinAll(packets []capture.Packet, batch, keysAt int, log []byte) (messages []string, acct decode.Accounting) {
	d := decode.NewDecoder(decode.Options{Secrets: true, Late: true})
	s := decode.NewStreams(d)
	w := &decode.Work{}
	for i := 0; !w.Last; i++ {
		w.Reset()
		n := min(batch, len(packets))
		w.Batch.Packets = packets[:n:n]
		if n > 0 {
			w.Batch.Now = packets[n-1].Time
		}
		packets = packets[n:]
		w.Last = n == 0
		if i == keysAt || w.Last && i < keysAt {
			w.Secrets = slices.Values([][]byte{log})
		}
		d.Frames(w)
		if s.Join(w) {
			d.Texts(w)
		}
		for m := range w.Items() {
			if m != nil {
				line, _, _ := strings.Cut(string(m.SIP.Raw), "\r\n")
				messages = append(messages, fmt.Sprintf("%d %s %s", m.Seq, m.Src, line))
			}
		}
		w.Account(&acct)
		w.Batch.Packets = nil
	}
	return messages, acct
}

// TestKeysAfterHole loses one segment after another, and has the keys come before all packets, after each of them, and after
// the end: what is read is the same.
func TestKeysAfterHole(t *testing.T) {
	t.Parallel()
	for _, version := range []uint16{stdtls.VersionTLS12, stdtls.VersionTLS13} {
		t.Run(stdtls.VersionName(version), func(t *testing.T) {
			t.Parallel()
			var log bytes.Buffer
			cc, sc := tlsConfigs(t, version, "sip.example.com", &log)
			wire := secured(t, cc, sc, append(dialogue(10), ping(50)...))
			most := 0
			for skip := range countSegments(wire) + 1 {
				var packets []capture.Packet
				connection(&packets, 40001, wire, skip)
				want, wantAcct := joinAll(packets, 1, 0, log.Bytes())
				slices.Sort(want)
				most = max(most, len(want))
				for keysAt := 1; keysAt <= len(packets)+1; keysAt += 3 {
					got, acct := joinAll(packets, 1, keysAt, log.Bytes())
					slices.Sort(got)
					// what one segment had of two records may be told as one hole, or as two
					if !slices.Equal(got, want) || (acct.Streams.Gaps > 0) != (wantAcct.Streams.Gaps > 0) {
						t.Errorf("without segment %d, keys before packet %d: %d holes of %d\ngot  %q\nwant %q", skip, keysAt,
							acct.Streams.Gaps, wantAcct.Streams.Gaps, got, want)
					}
				}
			}
			if most != 8 {
				t.Errorf("%d messages at the most, want 8", most)
			}
		})
	}
}

// TestWaitingIsBounded has more connections end without keys than may wait. When the keys come, those read and those that were
// not waited for add up.
func TestWaitingIsBounded(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	cc, sc := tlsConfigs(t, stdtls.VersionTLS13, "sip.example.com", &log)
	var one, packets []capture.Packet
	connection(&one, 40001, secured(t, cc, sc, ping(10)), 0)
	const total = 3000
	for i := range uint16(total) {
		for _, p := range one {
			p.Data = bytes.Clone(p.Data)
			client := 34
			if p.Data[29] == 20 { // from the server: 192.0.2.20
				client = 36
			}
			binary.BigEndian.PutUint16(p.Data[client:], 20_000+i)
			p.Seq = uint64(len(packets)) + 1
			p.Time = one[0].Time + int64(p.Seq)*1_000_000
			packets = append(packets, p)
		}
	}
	messages, acct := joinAll(packets, 256, 1<<30, log.Bytes())
	lost := acct.Streams.Unawaited
	if lost == 0 || lost > total/2 || uint64(len(messages)) != 2*(total-lost) {
		t.Errorf("%d messages, %d of %d connections not waited for", len(messages), lost, total)
	}
	if acct.Streams.Evicted > 0 {
		t.Errorf("%d directions evicted", acct.Streams.Evicted)
	}
}
