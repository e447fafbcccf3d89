package redact

import (
	"strings"

	"sipscope/decode/sip"
)

// words has SIP's and SDP's own words, in lower case: they pass wherever a technical word may stand, and are never taken
// for names there. A name that happens to be one is still replaced where a name stands.
var words = makeWords() //nolint:gochecknoglobals // read-only table

// wordLists are words by where they are registered.
var wordLists = [...]string{ //nolint:gochecknoglobals // read-only table
	// start lines, Via, URI schemes (IANA), transports
	`sip sips tel urn service sos http https mailto im pres xmpp cid msrp msrps fax modem ftp ldap ws wss udp tcp tls sctp
	dtls redacted body bytes invalid anonymous`,
	// parameters of URIs and headers (IANA, SIP/SIPS URI Parameters and Header Field Parameters)
	`branch received maddr ttl rport comp sigcomp keep alias sent by oc algo validity seq lr transport user phone ip method
	tag expires q instance reg id pub gr ob line isfocus actor text only lang audio video data control mobility fixed mobile
	cause protocol early only reason handling optional required session render icon alert filename boundary charset type
	purpose info card size refresher uac uas retry after duration index rc mp np privacy counter limit screen party calling
	called yes no off on full user header history none critical id name uri unknown true false stale algorithm md5 sess sha
	sha256 512 256 akav1 akav2 qop auth int nc nonce cnonce opaque realm domain response username digest basic bearer
	rspauth nextnonce lr on generic param application message event package class duplex description extensions schemes
	events automata priority languages methods half receive send principal personal business attendant msg taker
	feature icsi ref iari sub ep version reg sip cpc oli otg tgrp trunk context noa ndi isub ext postd rn npdi cic enumdi
	ics mmtel 3gpp g oma urn7 ipsec mech alg ealg prot mod spi port c s etag proxy b2bua redirect recurse parallel
	sequential queue cancel fork dont do not request uui encoding content hex isdn uuidata`,
	// headers not in the table, and values
	`normal urgent emergency non active pending terminated deactivated probation rejected timeout giveup noresource
	invariant early confirmed terminated local remote replaced cancelled error trying proceeding completed moved gmt utc
	mon tue wed thu fri sat sun jan feb mar apr may jun jul aug sep oct nov dec supported gated inactive recvonly sendonly
	sendrecv x from to for with and of the in is`,
	// option tags (IANA)
	`100rel 199 answermode aor dns sec diversion eventlist explicitsub from change geolocation http locale gin gruu histinfo
	ice join multiple refer norefersub nosub outbound path policy precondition pref recipient list invite subscribe
	record aware replaces resource siprec sdp anat security agree tdialog timer trickle uui vad voicemail`,
	// event packages, media types, encodings, languages
	`presence winfo dialog conference kpml mwi summary simple message ccess ua profile xcap diff vq rtcpxr load control
	poc settings spirits dtmf relay application audio video image multipart mixed alternative related signed text plain html
	xml pidf cpim rlmi reginfo isup qsig media control rs metadata rlmi encrypted sipfrag json octet stream pkcs7 mime
	signature watcherinfo imdn iscomposing 3gpp ims vnd etsi csta conference watcher identity gzip deflate identity compress
	binary base64 8bit 7bit utf iso 8859 us ascii en us gb de fr es it nl pt ja zh`,
	// SDP: lines, attributes, protocols
	`ip4 ip6 rtp avp avpf savp savpf udptl t38 rtpmap fmtp ptime maxptime minptime framerate quality framesize rtcp mux rsize
	fb xr extmap allow mixed setup actpass passive holdconn existing new connection lite options end candidates candidate host
	srflx prflx raddr rport tcptype so generation network cost ufrag pwd typ sha1 group bundle ls mid ssrc fid fec fr flute fingerprint 1
	224 384 crypto inline aes cm 128 192 hmac 80 32 f8 f5 gcm aead unencrypted srtp srtcp kdr wsh cname msid semantic wms
	label silencesupp direction both active curr des conf qos e2e local remote mandatory optional none failure recv sendrecv
	t38faxversion t38maxbitrate t38faxratemanagement t38faxudpec t38udpec t38faxfillbitremoval t38faxtranscodingmmr
	t38faxtranscodingjbig t38faxmaxbuffer t38faxmaxdatagram transferredtcf localtcf t38udpredundancy t38udpfec t38udpnoec
	t38udpfecdepth t38vendorinfo t30 sctpmap sctp port max msg size webrtc datachannel dcmap dcsa imageattr simulcast rid
	bundle content slides speaker sl main alt lang sendonly recvonly inactive ctlmod floorid mstrm m bfcp floorctrl confid
	userid curr as ct tias rs rr bw inet in out identity pair nack pli fir ccm tmmbr goog remb transport cc rpsi sli app
	vendor acap cpar creq csup tcap pcfg acfg omit ice ssrc level clockrate toffset abs send time csrc source filter incl
	excl pt an charset cat keywds tool orient sdplang key mgmt zrtp hash hello ts refclk mediaclk ptp recvonly accept types
	wrapped path msrp cema chatroom file selector transfer disposition date icon range session call talk - conversation
	clear prompt http params org ietf hdrext playout delay webrtc experiments www wide`,
	// codecs (IANA, RTP Payload Format media types)
	`pcmu pcma gsm g711 g711u g711a g721 g722 g7221 g723 g726 g728 g729 g729a g729b g729d g729e g7291 16 24 40 aal2 ilbc
	speex opus amr wb evs isac silk l16 l8 dvi4 lpc mpa qcelp cn telephone event red ulpfec flexfec rtx tone h261 h263 1998
	2000 h264 h265 vp8 vp9 av1 jpeg mpv mp2t mp4v mp4a latm mpeg4 vnd evrc evrcb g7222 usac clearmode vmr smv theora
	raw jpeg2000 xv annexa annexb mode set packetization profile level sprop parameter sets maxplaybackrate stereo
	sprop useinbandfec cbr usedtx maxaveragebitrate apt bitrate octet align vbr cng`,
}

func makeWords() map[string]struct{} {
	t := map[string]struct{}{}
	add := func(text string) {
		text = strings.ToLower(text)
		for i := 0; i < len(text); {
			if !isAlnum(text[i]) {
				i++
				continue
			}
			end := wordEnd([]byte(text), i)
			if !allDigits([]byte(text[i:end])) {
				t[text[i:end]] = struct{}{}
			}
			i = end
		}
	}
	for _, list := range wordLists {
		add(list)
	}
	for id := sip.HeaderOther + 1; id.String() != ""; id++ {
		add(id.String())
	}
	for status := 100; status < 700; status++ {
		add(sip.ReasonPhrase(status))
	}
	for id := sip.MethodInvite; id <= sip.MethodUpdate; id++ {
		add(id.String())
	}
	return t
}

// usualPhrases has the reason phrases that the RFCs suggest, in lower case.
var usualPhrases = makePhrases() //nolint:gochecknoglobals // read-only table

func makePhrases() map[string]struct{} {
	t := map[string]struct{}{}
	for status := 100; status < 700; status++ {
		if phrase := sip.ReasonPhrase(status); phrase != "" {
			t[strings.ToLower(phrase)] = struct{}{}
		}
	}
	return t
}

// maxWord bounds the words of the tables.
const maxWord = 48

// listed looks b up, whatever the case.
func listed(table map[string]struct{}, b []byte) bool {
	var buf [maxWord]byte
	if len(b) > maxWord {
		return false
	}
	for i, c := range b {
		buf[i] = lowerOf(c)
	}
	_, ok := table[string(buf[:len(b)])]
	return ok
}

// vocabulary reports whether a word of letters and digits is one of SIP's or SDP's own.
func vocabulary(word []byte) bool { return listed(words, word) }

// withWord is how many digits a number may have beside a word, as in sha-256.
const withWord = 3

// technical reports whether a token is made of SIP's own words and, as far as digits says, of numbers of that length.
func technical(token []byte, digits int) bool {
	longest, known := 0, false
	for i := 0; i < len(token); {
		if !isAlnum(token[i]) {
			i++
			continue
		}
		end := wordEnd(token, i)
		switch word := token[i:end]; {
		case allDigits(word):
			longest = max(longest, len(word))
		case vocabulary(word):
			known = true
		default:
			return false
		}
		i = end
	}
	return longest <= digits || known && longest <= withWord
}

// isAlnum: letters, digits, and what may be a part of a letter in another alphabet.
func isAlnum(c byte) bool { return c-'0' < 10 || c|0x20-'a' < 26 && c < 0x80 || c >= 0x80 }

func wordEnd(b []byte, i int) int {
	for i < len(b) && isAlnum(b[i]) {
		i++
	}
	return i
}

func allDigits(b []byte) bool {
	for _, c := range b {
		if c-'0' > 9 {
			return false
		}
	}
	return true
}

// isToken reports whether b is a token (RFC 3261 25.1).
func isToken(b []byte) bool {
	for _, c := range b {
		if !isWordByte(c) || c >= 0x80 || c < ' ' {
			return false
		}
	}
	return len(b) > 0
}

// isWordByte tells the bytes of words from those that separate: letters, digits, the marks of tokens, and control
// characters, which separate nothing.
func isWordByte(c byte) bool {
	if isAlnum(c) {
		return true
	}
	switch c {
	case '-', '.', '!', '%', '*', '_', '+', '`', '\'', '~':
		return true
	case '\t', '\r', '\n':
		return false
	default:
		return c < ' ' || c == 0x7f
	}
}
