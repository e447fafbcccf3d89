package sip

import "encoding/binary"

// HeaderID is a known header field, or HeaderOther.
type HeaderID uint8

// Header fields that this package knows: those of RFC 3261 20 and the registered extensions that explain a call, by
// their canonical names in alphabetical order.
const (
	HeaderOther HeaderID = iota // a name that the table does not have
	HeaderAccept
	HeaderAcceptContact
	HeaderAcceptEncoding
	HeaderAcceptLanguage
	HeaderAcceptResourcePriority
	HeaderAlertInfo
	HeaderAllow
	HeaderAllowEvents
	HeaderAnswerMode
	HeaderAuthenticationInfo
	HeaderAuthorization
	HeaderCallID
	HeaderCallInfo
	HeaderContact
	HeaderContentDisposition
	HeaderContentEncoding
	HeaderContentLanguage
	HeaderContentLength
	HeaderContentTransferEncoding
	HeaderContentType
	HeaderCSeq
	HeaderDate
	HeaderDiversion
	HeaderErrorInfo
	HeaderEvent
	HeaderExpires
	HeaderFeatureCaps
	HeaderFlowTimer
	HeaderFrom
	HeaderGeolocation
	HeaderGeolocationRouting
	HeaderHistoryInfo
	HeaderIdentity
	HeaderIdentityInfo
	HeaderInReplyTo
	HeaderInfoPackage
	HeaderJoin
	HeaderMaxBreadth
	HeaderMaxForwards
	HeaderMIMEVersion
	HeaderMinExpires
	HeaderMinSE
	HeaderOrganization
	HeaderPAccessNetworkInfo
	HeaderPAssertedIdentity
	HeaderPAssociatedURI
	HeaderPCalledPartyID
	HeaderPChargingFunctionAddresses
	HeaderPChargingVector
	HeaderPEarlyMedia
	HeaderPPreferredIdentity
	HeaderPServedUser
	HeaderPVisitedNetworkID
	HeaderPath
	HeaderPriority
	HeaderPrivacy
	HeaderProxyAuthenticate
	HeaderProxyAuthenticationInfo
	HeaderProxyAuthorization
	HeaderProxyRequire
	HeaderRAck
	HeaderReason
	HeaderRecordRoute
	HeaderRecvInfo
	HeaderReferSub
	HeaderReferTo
	HeaderReferredBy
	HeaderRejectContact
	HeaderRemotePartyID
	HeaderReplaces
	HeaderReplyTo
	HeaderRequestDisposition
	HeaderRequire
	HeaderResourcePriority
	HeaderRetryAfter
	HeaderRoute
	HeaderRSeq
	HeaderSecurityClient
	HeaderSecurityServer
	HeaderSecurityVerify
	HeaderServer
	HeaderServiceRoute
	HeaderSessionExpires
	HeaderSessionID
	HeaderSIPETag
	HeaderSIPIfMatch
	HeaderSubject
	HeaderSubscriptionState
	HeaderSupported
	HeaderSuppressIfMatch
	HeaderTargetDialog
	HeaderTimestamp
	HeaderTo
	HeaderUnsupported
	HeaderUserAgent
	HeaderUserToUser
	HeaderVia
	HeaderWarning
	HeaderWWWAuthenticate

	headers
)

// headerName has the canonical name and the compact form (RFC 3261 7.3.3), 0 for none.
type headerName struct {
	name    string
	compact byte
}

// headerNames has the names of IANA's registry of SIP header fields.
var headerNames = [headers]headerName{ //nolint:gochecknoglobals // read-only table
	HeaderAccept:                     {"Accept", 0},
	HeaderAcceptContact:              {"Accept-Contact", 'a'},
	HeaderAcceptEncoding:             {"Accept-Encoding", 0},
	HeaderAcceptLanguage:             {"Accept-Language", 0},
	HeaderAcceptResourcePriority:     {"Accept-Resource-Priority", 0},
	HeaderAlertInfo:                  {"Alert-Info", 0},
	HeaderAllow:                      {"Allow", 0},
	HeaderAllowEvents:                {"Allow-Events", 'u'},
	HeaderAnswerMode:                 {"Answer-Mode", 0},
	HeaderAuthenticationInfo:         {"Authentication-Info", 0},
	HeaderAuthorization:              {"Authorization", 0},
	HeaderCallID:                     {"Call-ID", 'i'},
	HeaderCallInfo:                   {"Call-Info", 0},
	HeaderContact:                    {"Contact", 'm'},
	HeaderContentDisposition:         {"Content-Disposition", 0},
	HeaderContentEncoding:            {"Content-Encoding", 'e'},
	HeaderContentLanguage:            {"Content-Language", 0},
	HeaderContentLength:              {"Content-Length", 'l'},
	HeaderContentTransferEncoding:    {"Content-Transfer-Encoding", 0},
	HeaderContentType:                {"Content-Type", 'c'},
	HeaderCSeq:                       {"CSeq", 0},
	HeaderDate:                       {"Date", 0},
	HeaderDiversion:                  {"Diversion", 0},
	HeaderErrorInfo:                  {"Error-Info", 0},
	HeaderEvent:                      {"Event", 'o'},
	HeaderExpires:                    {"Expires", 0},
	HeaderFeatureCaps:                {"Feature-Caps", 0},
	HeaderFlowTimer:                  {"Flow-Timer", 0},
	HeaderFrom:                       {"From", 'f'},
	HeaderGeolocation:                {"Geolocation", 0},
	HeaderGeolocationRouting:         {"Geolocation-Routing", 0},
	HeaderHistoryInfo:                {"History-Info", 0},
	HeaderIdentity:                   {"Identity", 'y'},
	HeaderIdentityInfo:               {"Identity-Info", 'n'},
	HeaderInReplyTo:                  {"In-Reply-To", 0},
	HeaderInfoPackage:                {"Info-Package", 0},
	HeaderJoin:                       {"Join", 0},
	HeaderMaxBreadth:                 {"Max-Breadth", 0},
	HeaderMaxForwards:                {"Max-Forwards", 0},
	HeaderMIMEVersion:                {"MIME-Version", 0},
	HeaderMinExpires:                 {"Min-Expires", 0},
	HeaderMinSE:                      {"Min-SE", 0},
	HeaderOrganization:               {"Organization", 0},
	HeaderPAccessNetworkInfo:         {"P-Access-Network-Info", 0},
	HeaderPAssertedIdentity:          {"P-Asserted-Identity", 0},
	HeaderPAssociatedURI:             {"P-Associated-URI", 0},
	HeaderPCalledPartyID:             {"P-Called-Party-ID", 0},
	HeaderPChargingFunctionAddresses: {"P-Charging-Function-Addresses", 0},
	HeaderPChargingVector:            {"P-Charging-Vector", 0},
	HeaderPEarlyMedia:                {"P-Early-Media", 0},
	HeaderPPreferredIdentity:         {"P-Preferred-Identity", 0},
	HeaderPServedUser:                {"P-Served-User", 0},
	HeaderPVisitedNetworkID:          {"P-Visited-Network-ID", 0},
	HeaderPath:                       {"Path", 0},
	HeaderPriority:                   {"Priority", 0},
	HeaderPrivacy:                    {"Privacy", 0},
	HeaderProxyAuthenticate:          {"Proxy-Authenticate", 0},
	HeaderProxyAuthenticationInfo:    {"Proxy-Authentication-Info", 0},
	HeaderProxyAuthorization:         {"Proxy-Authorization", 0},
	HeaderProxyRequire:               {"Proxy-Require", 0},
	HeaderRAck:                       {"RAck", 0},
	HeaderReason:                     {"Reason", 0},
	HeaderRecordRoute:                {"Record-Route", 0},
	HeaderRecvInfo:                   {"Recv-Info", 0},
	HeaderReferSub:                   {"Refer-Sub", 0},
	HeaderReferTo:                    {"Refer-To", 'r'},
	HeaderReferredBy:                 {"Referred-By", 'b'},
	HeaderRejectContact:              {"Reject-Contact", 'j'},
	HeaderRemotePartyID:              {"Remote-Party-ID", 0},
	HeaderReplaces:                   {"Replaces", 0},
	HeaderReplyTo:                    {"Reply-To", 0},
	HeaderRequestDisposition:         {"Request-Disposition", 'd'},
	HeaderRequire:                    {"Require", 0},
	HeaderResourcePriority:           {"Resource-Priority", 0},
	HeaderRetryAfter:                 {"Retry-After", 0},
	HeaderRoute:                      {"Route", 0},
	HeaderRSeq:                       {"RSeq", 0},
	HeaderSecurityClient:             {"Security-Client", 0},
	HeaderSecurityServer:             {"Security-Server", 0},
	HeaderSecurityVerify:             {"Security-Verify", 0},
	HeaderServer:                     {"Server", 0},
	HeaderServiceRoute:               {"Service-Route", 0},
	HeaderSessionExpires:             {"Session-Expires", 'x'},
	HeaderSessionID:                  {"Session-ID", 0},
	HeaderSIPETag:                    {"SIP-ETag", 0},
	HeaderSIPIfMatch:                 {"SIP-If-Match", 0},
	HeaderSubject:                    {"Subject", 's'},
	HeaderSubscriptionState:          {"Subscription-State", 0},
	HeaderSupported:                  {"Supported", 'k'},
	HeaderSuppressIfMatch:            {"Suppress-If-Match", 0},
	HeaderTargetDialog:               {"Target-Dialog", 0},
	HeaderTimestamp:                  {"Timestamp", 0},
	HeaderTo:                         {"To", 't'},
	HeaderUnsupported:                {"Unsupported", 0},
	HeaderUserAgent:                  {"User-Agent", 0},
	HeaderUserToUser:                 {"User-to-User", 0},
	HeaderVia:                        {"Via", 'v'},
	HeaderWarning:                    {"Warning", 0},
	HeaderWWWAuthenticate:            {"WWW-Authenticate", 0},
}

// String is the canonical name; empty for HeaderOther.
func (id HeaderID) String() string {
	if id >= headers {
		return ""
	}
	return headerNames[id].name
}

// Compact is the compact form (RFC 3261 7.3.3), 0 for none.
func (id HeaderID) Compact() byte {
	if id >= headers {
		return 0
	}
	return headerNames[id].compact
}

// LookupHeader gives the HeaderID of a field name as written: in any case, or in its compact form (RFC 3261 7.3.1,
// 7.3.3).
func LookupHeader(name []byte) HeaderID {
	if len(name) == 0 || len(name) > maxHeaderName {
		return HeaderOther
	}
	letter := lower(name[0]) - 'a'
	if letter > 'z'-'a' {
		return HeaderOther
	}
	if len(name) == 1 {
		return byCompact[letter]
	}
	for id := shapes.first[len(name)][letter]; id != HeaderOther; id = shapes.next[id] {
		if known := headerNames[id].name; string(name) == known || equalFold(name, known) {
			return id
		}
	}
	return HeaderOther
}

// maxHeaderName is the length of the longest name of the table.
const maxHeaderName = len("P-Charging-Function-Addresses")

// shapes has the headers by length and first letter of their names, which leaves one or two to compare.
var shapes = makeShapes() //nolint:gochecknoglobals // read-only table

type shapeTable struct {
	first [maxHeaderName + 1]['z' - 'a' + 1]HeaderID
	next  [headers]HeaderID // of the same shape
}

func makeShapes() *shapeTable {
	var t shapeTable
	for id := headers - 1; id > HeaderOther; id-- {
		name := headerNames[id].name
		first := &t.first[len(name)][lower(name[0])-'a']
		t.next[id], *first = *first, id
	}
	return &t
}

// usualName is a name of most messages in the case that most write, with the colon after it, as words to compare.
type usualName struct {
	key, mask uint64 // of the first eight bytes, or all there are
	tail      uint64 // the last eight bytes of a longer one
	id        HeaderID
	size      uint8 // bytes with the colon; 0 ends a list
}

// usualNames has the headers that nearly every message has, by first letter, so that one or two comparisons of words
// find the name and its colon. What is not here, LookupHeader finds.
var usualNames = makeUsual() //nolint:gochecknoglobals // read-only table

func makeUsual() *[26][6]usualName {
	var t [26][6]usualName
	for _, id := range [...]HeaderID{
		HeaderVia, HeaderFrom, HeaderTo, HeaderCallID, HeaderCSeq, HeaderContact, HeaderContentLength, HeaderContentType,
		HeaderMaxForwards, HeaderUserAgent, HeaderAllow, HeaderSupported, HeaderRecordRoute, HeaderRoute, HeaderExpires,
		HeaderServer,
	} {
		text := headerNames[id].name + ":"
		u := usualName{id: id, size: uint8(len(text))} //nolint:gosec // names are short
		for i := range min(8, len(text)) {
			u.key |= uint64(text[i]) << (8 * i)
			u.mask |= 0xff << (8 * i)
		}
		for i := range min(8, len(text)) {
			u.tail |= uint64(text[len(text)-1-i]) << (56 - 8*i)
		}
		list := &t[text[0]-'A']
		n := 0
		for list[n].size > 0 {
			n++
		}
		list[n] = u
	}
	return &t
}

// usualHeader finds one of the usual names with its colon at the beginning of b, and how long the two are.
func usualHeader(b []byte) (id HeaderID, size int) {
	if len(b) < 16 || b[0]-'A' > 'Z'-'A' {
		return HeaderOther, 0
	}
	w := binary.LittleEndian.Uint64(b)
	for i := range usualNames[b[0]-'A'] {
		u := &usualNames[b[0]-'A'][i]
		if u.size == 0 {
			break
		}
		if w&u.mask == u.key && (u.size <= 8 || binary.LittleEndian.Uint64(b[u.size-8:]) == u.tail) {
			return u.id, int(u.size)
		}
	}
	return HeaderOther, 0
}

// byCompact has the headers by compact form, "a" first.
var byCompact = [26]HeaderID{ //nolint:gochecknoglobals // read-only table
	0:         HeaderAcceptContact,
	'b' - 'a': HeaderReferredBy,
	'c' - 'a': HeaderContentType,
	'd' - 'a': HeaderRequestDisposition,
	'e' - 'a': HeaderContentEncoding,
	'f' - 'a': HeaderFrom,
	'i' - 'a': HeaderCallID,
	'j' - 'a': HeaderRejectContact,
	'k' - 'a': HeaderSupported,
	'l' - 'a': HeaderContentLength,
	'm' - 'a': HeaderContact,
	'n' - 'a': HeaderIdentityInfo,
	'o' - 'a': HeaderEvent,
	'r' - 'a': HeaderReferTo,
	's' - 'a': HeaderSubject,
	't' - 'a': HeaderTo,
	'u' - 'a': HeaderAllowEvents,
	'v' - 'a': HeaderVia,
	'x' - 'a': HeaderSessionExpires,
	'y' - 'a': HeaderIdentity,
}
