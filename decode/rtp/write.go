package rtp

import "encoding/binary"

// MaxText is the length in bytes of the longest item of a source description (RFC 3550 6.5).
const MaxText = 255

// itemCNAME is the canonical name of a source (RFC 3550 6.5.1).
const itemCNAME = 1

// Limits of the cumulative number of lost packets, which has 24 bits.
const (
	maxLost = 1<<23 - 1
	minLost = -1 << 23
)

// AppendReport appends a sender report, or a receiver report when info is nil, of a source with one block, or with none
// when block is nil (RFC 3550 6.4).
func AppendReport(dst []byte, ssrc uint32, info *Info, block *Block) []byte {
	at := len(dst)
	dst = binary.BigEndian.AppendUint32(append(dst, version<<6, ReceiverReport, 0, 0), ssrc)
	if info != nil {
		dst[at+1] = SenderReport
		dst = binary.BigEndian.AppendUint64(dst, info.NTP)
		dst = binary.BigEndian.AppendUint32(dst, info.Timestamp)
		dst = binary.BigEndian.AppendUint32(dst, info.Packets)
		dst = binary.BigEndian.AppendUint32(dst, info.Octets)
	}
	if block != nil {
		dst[at] |= 1
		lost := uint32(min(max(block.Lost, minLost), maxLost)) //nolint:gosec // Its low 24 bits are written.
		dst = binary.BigEndian.AppendUint32(dst, block.SSRC)
		dst = binary.BigEndian.AppendUint32(dst, uint32(block.Fraction)<<24|lost&(1<<24-1))
		dst = binary.BigEndian.AppendUint32(dst, block.Highest)
		dst = binary.BigEndian.AppendUint32(dst, block.Jitter)
		dst = binary.BigEndian.AppendUint32(dst, block.LSR)
		dst = binary.BigEndian.AppendUint32(dst, block.DLSR)
	}
	setLength(dst, at)
	return dst
}

// AppendCNAME appends a source description with the canonical name, which is cut at MaxText bytes (RFC 3550 6.5).
func AppendCNAME(dst []byte, ssrc uint32, cname string) []byte {
	cname = cname[:min(len(cname), MaxText)]
	at := len(dst)
	dst = binary.BigEndian.AppendUint32(append(dst, version<<6|1, Description, 0, 0), ssrc)
	dst = append(append(dst, itemCNAME, byte(len(cname))), cname...) //nolint:gosec // Cut above.
	for dst = append(dst, 0); (len(dst)-at)%4 != 0; {
		dst = append(dst, 0)
	}
	setLength(dst, at)
	return dst
}

// AppendBye appends the goodbye of a source (RFC 3550 6.6).
func AppendBye(dst []byte, ssrc uint32) []byte {
	at := len(dst)
	dst = binary.BigEndian.AppendUint32(append(dst, version<<6|1, Bye, 0, 0), ssrc)
	setLength(dst, at)
	return dst
}

// setLength writes the length of the packet that begins at a byte and ends with b: 32-bit words less one.
func setLength(b []byte, at int) {
	binary.BigEndian.PutUint16(b[at+2:], uint16((len(b)-at)/4-1)) //nolint:gosec // Reports are short.
}
