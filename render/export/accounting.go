package export

import (
	"encoding/json"

	"sipscope/correlate"
	"sipscope/decode"
)

// accounting is what became of every packet, as JSON has it.
type accounting struct {
	Packets     uint64            `json:"packets"`
	SIPMessages uint64            `json:"sip_messages"`
	Outcomes    map[string]uint64 `json:"outcomes"`  // they add up to packets
	Malformed   map[string]uint64 `json:"malformed"` // by reason
	Datagrams   uint64            `json:"incomplete_datagrams"`
	Gaps        uint64            `json:"stream_gaps"`
	Evicted     uint64            `json:"streams_evicted"`
	Fragments   uint64            `json:"fragments_evicted"`
	Overlaps    uint64            `json:"overlaps"`
	Secrets     uint64            `json:"tls_secrets_forgotten,omitempty"`
	Unawaited   uint64            `json:"tls_not_awaited,omitempty"`
	Unkept      uint64            `json:"texts_unkept,omitempty"` // decoded texts beyond the limit
}

// Accounting gives the JSON objects of Document: what became of the packets, and what the limits cost.
func Accounting(a decode.Accounting, l correlate.Limited) (accountingJSON, limitsJSON []byte, err error) {
	v := accounting{
		Packets: a.Packets, SIPMessages: a.Messages, Outcomes: map[string]uint64{}, Malformed: map[string]uint64{},
		Datagrams: a.Streams.Datagrams, Gaps: a.Streams.Gaps, Evicted: a.Streams.Evicted,
		Fragments: a.Streams.Fragments, Overlaps: a.Streams.Overlaps,
		Secrets: a.Streams.Secrets, Unawaited: a.Streams.Unawaited, Unkept: a.Streams.Unkept,
	}
	a.Each(func(name string, n uint64) { v.Outcomes[name] = n })
	a.EachMalformed(func(reason string, n uint64) { v.Malformed[reason] = n })
	if accountingJSON, err = json.Marshal(&v); err != nil {
		return nil, nil, err
	}
	limitsJSON, err = json.Marshal(&l)
	return accountingJSON, limitsJSON, err
}
