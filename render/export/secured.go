package export

import (
	"encoding/json"
	"fmt"
	"time"

	"sipscope/decode"
)

// Secured is a TLS connection as JSON has it.
type Secured struct {
	Client     string    `json:"client"` // address:port; the sender of the first packet when nobody knows who is who
	Server     string    `json:"server"`
	ServerName string    `json:"server_name"` // of the ClientHello (SNI), as it came
	ALPN       string    `json:"alpn,omitempty"`
	State      string    `json:"state"`             // "encrypted, no key" and so on
	Version    string    `json:"version,omitempty"` // "TLS 1.3"
	Suite      string    `json:"suite,omitempty"`   // number of the cipher suite in the IANA registry, "0x1301"
	Packets    uint64    `json:"packets"`           // that carried a part of the stream
	Bytes      uint64    `json:"bytes"`
	First      time.Time `json:"first"`
	Last       time.Time `json:"last"`
	FirstFrame uint64    `json:"first_frame"`
}

// NewSecured says in texts what is known of a TLS connection.
func NewSecured(s *decode.Secured) Secured {
	out := Secured{
		Client: s.Src.String(), Server: s.Dst.String(), ServerName: s.TLS.ServerName, ALPN: s.TLS.ALPN,
		State: s.TLS.State.String(), Packets: s.Packets, Bytes: s.Bytes,
		First: time.Unix(0, s.First).UTC(), Last: time.Unix(0, s.Last).UTC(), FirstFrame: s.FirstFrame,
	}
	if v := s.TLS.Version; v != 0 {
		out.Version = fmt.Sprintf("TLS 1.%d", int(v)-0x0301)
		out.Suite = fmt.Sprintf("%#04x", s.TLS.Suite)
	}
	return out
}

// SecuredJSON gives TLS connections as a JSON array, as Document.Encrypted wants it.
func SecuredJSON(rows []decode.Secured) ([]byte, error) {
	out := make([]Secured, len(rows))
	for i := range rows {
		out[i] = NewSecured(&rows[i])
	}
	b, err := json.Marshal(out)
	return Shown(b), err
}
