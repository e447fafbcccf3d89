package sdp

import (
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"github.com/google/gopacket/pcapgo"
	pion "github.com/pion/sdp/v3"
)

// Where pion/sdp, which is strict, accepts a description, both read the same. The descriptions are those of the tests
// and of the captures.
func TestOracle(t *testing.T) {
	t.Parallel()
	bodies := [][]byte{[]byte(plain), []byte(audio("m=audio 5/2 RTP/AVP 0 96", "c=IN IP6 ::1", "a=sendonly", "a=rtpmap:96 opus/48000/2", "m=video 0 RTP/AVP 31"))}
	files, err := filepath.Glob("../../../shared/pcaps/*/*.pcap*")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		bodies = append(bodies, descriptions(t, file)...)
	}
	if len(files) == 0 {
		t.Log("only the tests' own descriptions: ../shared/pcaps is not there")
	}
	accepted := 0
	for _, b := range bodies {
		var p pion.SessionDescription
		if p.Unmarshal(b) != nil {
			s, _ := Parse(b)
			checkBounds(t, b, &s)
			continue
		}
		accepted++
		s, _ := Parse(b)
		if string(s.Origin.Username) != p.Origin.Username || string(s.Origin.Address) != p.Origin.UnicastAddress ||
			strconv.FormatUint(p.Origin.SessionVersion, 10) != strings.TrimLeft(string(s.Origin.Version), "0") && p.Origin.SessionVersion != 0 || len(s.Media) != len(p.MediaDescriptions) {
			t.Errorf("origin or media differ: %+v and %+v of\n%s", s.Origin, p.Origin, b)
			continue
		}
		for i, want := range p.MediaDescriptions {
			m := &s.Media[i]
			formats := make([]string, 0, len(m.Formats))
			for j := range m.Formats {
				formats = append(formats, string(m.Formats[j].Text))
			}
			if string(m.Type) != want.MediaName.Media || int(m.Port) != want.MediaName.Port.Value || string(m.Proto) != strings.Join(want.MediaName.Protos, "/") ||
				!cmp.Equal(formats, want.MediaName.Formats) {
				t.Errorf("medium %s, want %s, of\n%s", text(&s), want.MediaName, b)
			}
			for j := range m.Formats {
				f := &m.Formats[j]
				codec, err := p.GetCodecForPayloadType(uint8(max(0, f.PT)))
				if name, clock, _ := f.Encoding(); err == nil && f.PT > 0 && len(p.MediaDescriptions) == 1 && f.Name != nil && (!strings.EqualFold(name, codec.Name) || clock != codec.ClockRate) {
					t.Errorf("payload type %d is %s/%d, want %+v, of\n%s", f.PT, name, clock, codec, b)
				}
			}
		}
	}
	t.Logf("%d of %d descriptions accepted by the oracle", accepted, len(bodies))
	if accepted*2 < len(bodies) || accepted < 2 {
		t.Error("the oracle accepts too few to prove anything")
	}
}

// descriptions gives the distinct SDP bodies of a capture's UDP datagrams: what follows an empty line with v=0.
func descriptions(t *testing.T, file string) (bodies [][]byte) {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var source gopacket.PacketDataSource
	var link layers.LinkType
	if r, err := pcapgo.NewReader(f); err == nil {
		r.SetSnaplen(1 << 18)
		source, link = r, r.LinkType()
	} else if _, err = f.Seek(0, io.SeekStart); err != nil {
		t.Fatal(err)
	} else if r, err := pcapgo.NewNgReader(f, pcapgo.DefaultNgReaderOptions); err == nil {
		source, link = r, r.LinkType()
	} else {
		return nil
	}
	seen := map[string]bool{}
	for {
		data, _, err := source.ReadPacketData()
		if err != nil {
			return bodies
		}
		p := gopacket.NewPacket(data, link, gopacket.DecodeOptions{Lazy: true})
		udp, ok := p.Layer(layers.LayerTypeUDP).(*layers.UDP)
		if !ok || !strings.Contains(string(udp.Payload), "application/sdp") {
			continue
		}
		if _, body, ok := strings.Cut(string(udp.Payload), "\r\n\r\nv=0"); ok && !seen[body] {
			seen[body] = true
			bodies = append(bodies, []byte("v=0"+body))
		}
	}
}
