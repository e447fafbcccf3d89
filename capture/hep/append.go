package hep

import (
	"encoding/binary"
	"fmt"
	"hash/adler32"
	"net/netip"
	"time"

	"github.com/klauspost/compress/flate"
)

// Encoding says how Append writes a message. The zero value is version 3, not compressed.
type Encoding struct {
	Version  uint8 // 1, 2 or 3; 0 is 3
	Compress bool  // version 3: zlib, when that makes the payload shorter
}

// Append appends a message. Family follows from the addresses, which must be of one family, or both not valid (version 3
// then says none). Time 0, CaptureID 0 and empty fields are left out of version 3; versions 1 and 2 carry no more than
// addresses, payload and, version 2, time and the low 16 bits of CaptureID. A payload that is Compressed stays so. Times
// are cut to microseconds. An error comes with dst as it was; it is ErrTooLarge beyond 65,535 bytes.
func Append(dst []byte, p *Packet, o Encoding) ([]byte, error) {
	seconds := p.Time / int64(time.Second)
	if p.Time < 0 || seconds > 1<<32-1 {
		return dst, fmt.Errorf("HEP: time of %d s does not fit 32 bits", seconds)
	}
	src, to := p.Src.Addr(), p.Dst.Addr()
	if src.BitLen() != to.BitLen() {
		return dst, fmt.Errorf("HEP: addresses of two families, %v and %v", src, to)
	}
	var out []byte
	switch o.Version {
	case 0, 3:
		out = appendChunks(dst, p, o)
	case 1, 2:
		if p.Compressed || !src.IsValid() {
			return dst, fmt.Errorf("HEP: version %d has no compressed payloads and needs addresses", o.Version)
		}
		out = appendOld(dst, p, o.Version)
	default:
		return dst, fmt.Errorf("HEP: no version %d", o.Version)
	}
	n := len(out) - len(dst)
	if n > maxMessage {
		return dst, fmt.Errorf("HEP: message of %d bytes: %w", n, ErrTooLarge)
	}
	if o.Version == 0 || o.Version == 3 {
		binary.BigEndian.PutUint16(out[len(dst)+len(magic):], uint16(n)) //nolint:gosec // checked above
	}
	return out, nil
}

// appendChunks appends a message of version 3, its length still to be filled in. A chunk that is too long is written with
// a wrong length; the message is then too long, too, and nobody sees it.
func appendChunks(dst []byte, p *Packet, o Encoding) []byte {
	dst = append(dst, magic...)
	dst = append(dst, 0, 0)
	if src := p.Src.Addr(); src.Is4() {
		dst = append(chunk(dst, chunkFamily, 1), familyIPv4)
	} else if src.Is6() {
		dst = append(chunk(dst, chunkFamily, 1), familyIPv6)
	}
	dst = append(chunk(dst, chunkProto, 1), p.Proto)
	if p.Src.Addr().IsValid() {
		dst = appendAddr(dst, chunkSrc4, p.Src.Addr())
		dst = appendAddr(dst, chunkDst4, p.Dst.Addr())
		dst = binary.BigEndian.AppendUint16(chunk(dst, chunkSrcPort, 2), p.Src.Port())
		dst = binary.BigEndian.AppendUint16(chunk(dst, chunkDstPort, 2), p.Dst.Port())
	}
	if p.Time != 0 {
		dst = append32(dst, chunkSeconds, uint32(p.Time/int64(time.Second))) //nolint:gosec // checked by Append
		dst = append32(dst, chunkMicros, micros(p.Time))
	}
	dst = append(chunk(dst, chunkType, 1), p.Type)
	if p.CaptureID != 0 {
		dst = append32(dst, chunkCaptureID, p.CaptureID)
	}
	if p.KeepAlive != 0 {
		dst = binary.BigEndian.AppendUint16(chunk(dst, chunkKeepAlive, 2), p.KeepAlive)
	}
	if p.VLAN != 0 {
		dst = binary.BigEndian.AppendUint16(chunk(dst, chunkVLAN, 2), p.VLAN)
	}
	dst = appendBytes(dst, chunkKey, p.Key)
	dst = appendBytes(dst, chunkCorrelate, p.CorrelationID)
	dst = appendBytes(dst, chunkNode, p.Node)
	return appendPayload(dst, p, o)
}

// micros are the microseconds within the second of a time that is not negative.
func micros(t int64) uint32 {
	return uint32(t % int64(time.Second) / int64(time.Microsecond)) //nolint:gosec // below a million
}

// appendPayload appends the last chunk.
func appendPayload(dst []byte, p *Packet, o Encoding) []byte {
	switch {
	case p.Payload == nil:
		return dst
	case p.Compressed:
		return append(chunk(dst, chunkCompressed, len(p.Payload)), p.Payload...)
	case o.Compress:
		from := len(dst)
		out := appendZlib(chunk(dst, chunkCompressed, 0), p.Payload)
		if n := len(out) - from; n < chunkHead+len(p.Payload) {
			binary.BigEndian.PutUint16(out[from+4:], uint16(n)) //nolint:gosec // Append refuses a message that long
			return out
		}
	}
	return append(chunk(dst, chunkPayload, len(p.Payload)), p.Payload...)
}

// chunk appends the head of a chunk of n bytes.
func chunk(dst []byte, typ uint16, n int) []byte {
	dst = append(dst, 0, 0)
	dst = binary.BigEndian.AppendUint16(dst, typ)
	return binary.BigEndian.AppendUint16(dst, uint16(chunkHead+n)) //nolint:gosec // Append refuses a message that long
}

func append32(dst []byte, typ uint16, v uint32) []byte {
	return binary.BigEndian.AppendUint32(chunk(dst, typ, 4), v)
}

func appendBytes(dst []byte, typ uint16, v []byte) []byte {
	if len(v) == 0 {
		return dst
	}
	return append(chunk(dst, typ, len(v)), v...)
}

// appendAddr appends an address; typ is the chunk type for IPv4.
func appendAddr(dst []byte, typ uint16, a netip.Addr) []byte {
	if a.Is4() {
		v := a.As4()
		return append(chunk(dst, typ, len(v)), v[:]...)
	}
	v := a.As16()
	return append(chunk(dst, typ+chunkSrc6-chunkSrc4, len(v)), v[:]...)
}

// appendOld appends a message of version 1 or 2.
func appendOld(dst []byte, p *Packet, version uint8) []byte {
	if src, to := p.Src.Addr(), p.Dst.Addr(); src.Is4() {
		a, b := src.As4(), to.As4()
		dst = append(oldStart(dst, p, version, familyIPv4, len(a)+len(b)), a[:]...)
		dst = append(dst, b[:]...)
	} else {
		a, b := src.As16(), to.As16()
		dst = append(oldStart(dst, p, version, familyIPv6, len(a)+len(b)), a[:]...)
		dst = append(dst, b[:]...)
	}
	if version == 2 {
		dst = binary.LittleEndian.AppendUint32(dst, uint32(p.Time/int64(time.Second))) //nolint:gosec // checked by Append
		dst = binary.LittleEndian.AppendUint32(dst, micros(p.Time))
		dst = binary.LittleEndian.AppendUint16(dst, uint16(p.CaptureID)) //nolint:gosec // the low bits, as documented
		dst = append(dst, 0, 0)
	}
	return append(dst, p.Payload...)
}

// oldStart appends the fixed part of versions 1 and 2; n is the size of the addresses. The length leaves out the time
// header, as Kamailio's does.
func oldStart(dst []byte, p *Packet, version, family byte, n int) []byte {
	dst = append(dst, version, byte(oldHead+n), family, p.Proto) //nolint:gosec // 16 or 40
	dst = binary.BigEndian.AppendUint16(dst, p.Src.Port())
	return binary.BigEndian.AppendUint16(dst, p.Dst.Port())
}

// tail is an io.Writer that appends.
type tail struct{ b []byte }

func (t *tail) Write(b []byte) (int, error) {
	t.b = append(t.b, b...)
	return len(b), nil
}

// appendZlib appends b as a zlib stream (RFC 1950). The compressor keeps no state, which a message now and then would
// have to pay for with some 100 KiB.
func appendZlib(dst, b []byte) []byte {
	t := tail{append(dst, 0x78, 0x01)} // window of 32 KiB, fastest; a multiple of 31
	_ = flate.StatelessDeflate(&t, b, true, nil)
	return binary.BigEndian.AppendUint32(t.b, adler32.Checksum(b))
}
