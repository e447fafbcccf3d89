package plan

import (
	"bytes"

	"sipscope/decode/sip"
)

// Rewritten names what a player replaces in a step's message, for people: values that are made at run time, or that name
// an address of the recording. All the rest is sent as it was recorded, byte for byte. Of an Expect it names what is
// learned from the live message, and is not compared.
func Rewritten(s *Step) []string {
	var m sip.Message
	if sip.Parse(s.Message, &m) != nil {
		return nil
	}
	r := rewriter{m: &m}
	if m.Request {
		r.request()
	}
	r.add("Via", m.Vias > 0)
	r.add("Call-ID", !m.CallID.Empty())
	r.add("From tag", !m.From.Tag.Empty())
	r.add("To tag", !m.To.Tag.Empty())
	r.add("CSeq", m.HasCSeq)
	for _, h := range rewrittenHeaders {
		_, ok := m.Value(h)
		r.add(h.String(), ok)
	}
	_, named := m.Value(sip.HeaderReferTo)
	r.add("Refer-To", named)
	r.body()
	return r.found
}

// rewrittenHeaders are headers whose values a live flow makes anew.
//
//nolint:gochecknoglobals // a read-only table
var rewrittenHeaders = []sip.HeaderID{
	sip.HeaderContact, sip.HeaderRoute, sip.HeaderRecordRoute, sip.HeaderPath, sip.HeaderServiceRoute,
	sip.HeaderAuthorization, sip.HeaderProxyAuthorization, sip.HeaderWWWAuthenticate, sip.HeaderProxyAuthenticate,
	sip.HeaderAuthenticationInfo, sip.HeaderProxyAuthenticationInfo, sip.HeaderRSeq, sip.HeaderRAck, sip.HeaderReplaces,
	sip.HeaderJoin, sip.HeaderTargetDialog, sip.HeaderInReplyTo, sip.HeaderSessionID, sip.HeaderSIPETag,
	sip.HeaderSIPIfMatch, sip.HeaderPChargingVector, sip.HeaderTimestamp, sip.HeaderDate,
}

type rewriter struct {
	m     *sip.Message
	found []string
}

func (r *rewriter) add(what string, is bool) {
	if is {
		r.found = append(r.found, what)
	}
}

// request names where the request goes.
func (r *rewriter) request() {
	r.found = append(r.found, "Request-URI")
}

// body names what changes in it: SDP's own addresses, and identifiers of other dialogs in event packages.
func (r *rewriter) body() {
	if _, ok := r.m.SDP(); ok {
		r.add("SDP origin, addresses and ports", true)
		return
	}
	kind := bytes.ToLower(r.m.ContentType.Of(r.m.Raw))
	switch {
	case r.m.Body.Empty():
	case bytes.HasPrefix(kind, []byte("message/sipfrag")):
		r.add("identifiers in the sipfrag", true)
	case bytes.HasSuffix(kind, []byte("+xml")):
		r.add("identifiers in the XML", true)
	}
}
