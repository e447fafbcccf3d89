// Package flowtest is the project's test language: a flow says who sends what to whom and when, and what must be found
// in it. A flow is written as a capture (see flowpcap), so that no test of logic rests on an opaque binary.
//
// A flow is text, one statement a line. A "#" at the start of a word begins a comment. Words are parted by blanks; a
// text with blanks stands in quotes with Go's escapes: name="Joe Public". A value <<END takes the lines up to one that
// is END alone, each ended by CRLF.
//
// The frame of a flow:
//
//	title A call through two proxies             what the capture shows; one line
//	about Any number of lines of explanation.
//	start 2026-01-15T12:00:01Z                   time of @0s
//	host NAME ADDR[:PORT] [FLAG|KEY=VALUE ...]   an element; its port is 5060 when not given
//	call NAME from HOST to HOST [callid=ID]      messages that share a Call-ID
//	link ethernet|vlan=ID[,ID]|sll|sll2|raw|null link type (default ethernet)
//	tunnel LAYER/LAYER/... [mtu=BYTES] [iface=N] what frames (of interface N, 0) are in, see ParseTunnels
//	interface N LINK                             link type of interface N: the flow is written as pcapng
//	format pcap|pcapng                           (default pcap)
//	resolution ns|us                             of the times in a pcap (default ns)
//	snaplen BYTES                                longer frames are cut
//
// Flags and keys of a host:
//
//	proxy            it forwards: pushes and pops Via, counts Max-Forwards down, honours Route (RFC 3261 16)
//	record-route     a proxy that stays on the path (16.6 step 4); strict: without ";lr" (RFC 2543)
//	rfc2543          its branches lack the magic cookie (17.2.3)
//	rport            its Via asks for the port, and who receives it tells (RFC 3581)
//	user=URI name=TEXT agent=TEXT sent-by=HOST rtp=PORT transport=udp|tcp
//
// Steps begin with a time: +20ms after the step before, or @1.5s after the start.
//
//	+1ms A > B METHOD [URI] [FLAG|KEY=VALUE ...]         a request
//	+1ms A > B STATUS ["REASON"] [METHOD] [...]          a response; METHOD tells which request where that is open
//	+1ms A > B connect | close | reset | probe           a TCP handshake, FIN, RST, keep-alive
//	+1ms A > B keepalive | pong                          CRLF CRLF, CRLF (RFC 5626 3.5.1)
//	+1ms A > B bytes data=TEXT                           a payload as it is
//	+1ms A > B unreachable                               ICMP: B's newest datagram found no port at A
//	+1ms rtp A[:PORT] <> B[:PORT] PCMU|PCMA 20ms xN      N packets each way; ">" for one way
//
// What a request becomes follows from the elements: a proxy forwards the newest request of that method that it has not
// yet sent there; a user agent with a dialog sends inside it; an ACK of a failure and a CANCEL take their INVITE's branch.
// A response by a proxy is the copy of one that came from further on, else its own. Tags, branches, CSeq numbers, Via,
// Contact, Route and Record-Route are kept as RFC 3261 says, and are the same in each run.
//
// Flags of a message:
//
//	retransmit   the newest same message of this hop again, byte for byte
//	initial      outside of any dialog
//	own          made by this proxy, not forwarded
//	auth         with credentials for the challenges received (RFC 8760: SHA-256)
//	stale        a challenge whose nonce was too old
//	rel          a reliable provisional (RFC 3262)
//	anyway       where Route or Request-URI would not send it
//	lost         sent, but not in the capture
//	lf, compact  lines that end in LF, compact header names
//	more         TCP: the next message of this direction shares its segments
//	noack        TCP: no acknowledgement by the receiver
//
// Keys of a message: as=LABEL (of a request), of=LABEL (which request is forwarded, answered, cancelled), call=NAME,
// with=HOST (which dialog), callid= branch= tag= cseq= contact= (each as generated otherwise; branch=none leaves it out),
// header.NAME=VALUE (replaces or adds), without=NAME,NAME, body= type= sdp=PCMU,PCMA,... sdp.dir= sdp.port= sdp.addr=
// pidf=open|closed, event= state= expires= password=, raw= (the bytes instead), transport= sport= dport=, frag=BYTES
// frag.drop=N frag.order=N,N,..., split=BYTES,BYTES drop=N order=N,N,... resend=N (TCP), dup=DURATION (the tap saw it
// twice), dup.iface=N (there), iface=N.
//
// What must be found, each kind once but for calls and registrations (see Check):
//
//	expect messages|callids|retransmissions|duplicates|gaps N
//	expect methods|statuses|transactions|outcomes NAME=N ...    all that there are
//	expect dialogs confirmed=N early=N                         of INVITE; early: tag pairs with a 101-199
//	expect call N KEY=VALUE ...                                Nth Call-ID in the capture's order
//	expect registration N KEY=VALUE ...                        what the REGISTERs of the Nth call did
//
// The package decides nothing about SIP found in captures: it imports neither decode nor correlate, but for the phrases
// of status codes.
package flowtest
