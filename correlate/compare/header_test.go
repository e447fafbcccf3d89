package compare_test

import "testing"

func TestStartLine(t *testing.T) {
	t.Parallel()
	runTable(t, startTable())
}

func startTable() []row {
	return []row{
		{
			name: "method", a: "INVITE sip:b SIP/2.0", b: "BYE sip:b SIP/2.0",
			want: []string{"~ [INVITE] sip:b SIP/2.0 → [BYE] sip:b SIP/2.0"},
		},
		{
			name: "version", a: "INVITE sip:b SIP/2.0", b: "INVITE sip:b SIP/3.0",
			want: []string{"~ INVITE sip:b [SIP/2.0] → INVITE sip:b [SIP/3.0]"},
		},
		{
			name: "version case", a: "INVITE sip:b SIP/2.0", b: "INVITE sip:b sip/2.0",
			want: []string{"= INVITE sip:b [SIP/2.0] → INVITE sip:b [sip/2.0] (case)"},
		},
		{
			name: "host case", a: "INVITE sip:b@EXAMPLE.com SIP/2.0", b: "INVITE SIP:b@example.com SIP/2.0",
			want: []string{"= INVITE [sip]:b@[EXAMPLE.com] SIP/2.0 → INVITE [SIP]:b@[example.com] SIP/2.0 (case)"},
		},
		{
			name: "user case", a: "INVITE sip:Bob@a.example SIP/2.0", b: "INVITE sip:bob@a.example SIP/2.0",
			want: []string{"~ INVITE sip:[Bob]@a.example SIP/2.0 → INVITE sip:[bob]@a.example SIP/2.0"},
		},
		{
			name: "escapes", a: "INVITE sip:%61lice@a SIP/2.0", b: "INVITE sip:alice@a SIP/2.0",
			want: []string{"= INVITE sip:[%61lice]@a SIP/2.0 → INVITE sip:[alice]@a SIP/2.0 (escapes)"},
		},
		{
			name: "escape of a reserved character", a: "INVITE sip:%2B49@a SIP/2.0", b: "INVITE sip:+49@a SIP/2.0",
			want: []string{"~ INVITE sip:[%2B49]@a SIP/2.0 → INVITE sip:[+49]@a SIP/2.0"},
		},
		{
			name: "port", a: "INVITE sip:b@a:5060 SIP/2.0", b: "INVITE sip:b@a:5070 SIP/2.0",
			want: []string{"~ INVITE sip:b@a:[5060] SIP/2.0 → INVITE sip:b@a:[5070] SIP/2.0"},
		},
		{
			name: "no port", a: "INVITE sip:b@a SIP/2.0", b: "INVITE sip:b@a:5060 SIP/2.0",
			want: []string{"~ INVITE sip:b@a SIP/2.0 → INVITE sip:b@a[:5060] SIP/2.0"},
		},
		{
			name: "password", a: "INVITE sip:b:x@a SIP/2.0", b: "INVITE sip:b:y@a SIP/2.0",
			want: []string{"~ INVITE sip:b:[x]@a SIP/2.0 → INVITE sip:b:[y]@a SIP/2.0"},
		},
		{
			name: "parameters", a: "INVITE sip:b@a;lr;transport=tcp SIP/2.0",
			b: "INVITE sip:b@a;transport=TCP;lr SIP/2.0",
			want: []string{
				"= INVITE sip:b@a;[lr];transport=[tcp] SIP/2.0 → " +
					"INVITE sip:b@a;transport=[TCP];[lr] SIP/2.0 (order of parameters)",
			},
		},
		{
			name: "parameter", a: "INVITE sip:b@a;transport=tcp SIP/2.0", b: "INVITE sip:b@a;transport=udp SIP/2.0",
			want: []string{"~ INVITE sip:b@a;transport=[tcp] SIP/2.0 → INVITE sip:b@a;transport=[udp] SIP/2.0"},
		},
		{
			name: "lost lr", a: "INVITE sip:b@a;lr SIP/2.0", b: "INVITE sip:b@a SIP/2.0",
			want: []string{"~ INVITE sip:b@a;[lr] SIP/2.0 → INVITE sip:b@a SIP/2.0"},
		},
		{
			name: "IPv6", a: "INVITE sip:[2001:DB8::1]:5060 SIP/2.0", b: "INVITE sip:[2001:db8:0::1]:5060 SIP/2.0",
			want: []string{
				"= INVITE sip:[[2001:DB8::1]]:5060 SIP/2.0 → INVITE sip:[[2001:db8:0::1]]:5060 SIP/2.0 (form of an address)",
			},
		},
		{
			name: "tel", a: "INVITE tel:+1-201-555 SIP/2.0", b: "INVITE tel:+1201555 SIP/2.0",
			want: []string{"= INVITE tel:[+1-201-555] SIP/2.0 → INVITE tel:[+1201555] SIP/2.0 (form of a number)"},
		},
		{
			name: "tel number", a: "INVITE tel:+1;ext=2 SIP/2.0", b: "INVITE tel:+2;ext=2 SIP/2.0",
			want: []string{"~ INVITE tel:[+1];ext=2 SIP/2.0 → INVITE tel:[+2];ext=2 SIP/2.0"},
		},
		{
			name: "urn", a: "INVITE urn:service:sos SIP/2.0", b: "INVITE urn:service:sos.fire SIP/2.0",
			want: []string{"~ INVITE urn:[service:sos] SIP/2.0 → INVITE urn:[service:sos.fire] SIP/2.0"},
		},
		{
			name: "blanks", a: "INVITE  sip:b SIP/2.0", b: "INVITE sip:b SIP/2.0",
			want: []string{"= INVITE [ ]sip:b SIP/2.0 → INVITE sip:b SIP/2.0 (white space)"},
		},
		{
			name: "status", a: "SIP/2.0 200 OK", b: "SIP/2.0 486 Busy Here",
			want: []string{"~ SIP/2.0 [200] OK → SIP/2.0 [486] Busy Here"},
		},
		{
			name: "reason phrase", a: "SIP/2.0 200 OK", b: "SIP/2.0 200 Fine by me",
			want: []string{"= SIP/2.0 200 [OK] → SIP/2.0 200 [Fine by me] (reason phrase)"},
		},
		{
			name: "no reason phrase", a: "SIP/2.0 200 OK", b: "SIP/2.0 200 ",
			want: []string{"= SIP/2.0 200 [OK] → SIP/2.0 200  (reason phrase)"},
		},
		{
			name: "request and response", a: "BYE sip:b SIP/2.0", b: "SIP/2.0 200 OK",
			want: []string{"~ BYE sip:b SIP/2.0 → SIP/2.0 200 OK"},
		},
	}
}

func TestHeaders(t *testing.T) {
	t.Parallel()
	runTable(t, headerTable())
}

func headerTable() []row {
	return []row{
		{
			name: "compact form", a: "Via: SIP/2.0/UDP h;branch=z", b: "v: SIP/2.0/UDP h;branch=z",
			want: []string{"= [Via]: SIP/2.0/UDP h;branch=z → [v]: SIP/2.0/UDP h;branch=z (compact form)"},
		},
		{
			name: "name case", a: "x-foo: 1", b: "X-Foo: 1",
			want: []string{"= [x-foo]: 1 → [X-Foo]: 1 (case)"},
		},
		{
			name: "white space", a: "Subject: a  b", b: "Subject:   a b",
			want: []string{"= Subject: a [ ]b → Subject: [  ]a b (white space)"},
		},
		{
			name: "folding", a: "Subject: a\n b", b: "Subject: a b",
			want: []string{"= Subject: a b → Subject: a b (folding)"},
		},
		{
			name: "folded and changed", a: "Subject: a\n\tb c", b: "Subject: a b\n  d",
			want: []string{"~ Subject: a b [c] → Subject: a b [d]"},
		},
		{
			name: "branch", a: "Via: SIP/2.0/UDP h;branch=z1;rport", b: "Via: SIP/2.0/UDP h;branch=z2;rport",
			want: []string{"~ Via: SIP/2.0/UDP h;branch=[z1];rport → Via: SIP/2.0/UDP h;branch=[z2];rport"},
		},
		{
			name: "transport", a: "Via: SIP/2.0/UDP h;branch=z1", b: "Via: SIP/2.0/TCP h;branch=z1",
			want: []string{"~ Via: SIP/2.0/[UDP] h;branch=z1 → Via: SIP/2.0/[TCP] h;branch=z1"},
		},
		{
			name: "transport case", a: "Via: SIP/2.0/UDP H;branch=z1", b: "Via: sip / 2.0 / udp h;Branch=z1",
			want: []string{"= Via: [SIP]/2.0/[UDP] [H];[branch=z1] → Via: [sip] / 2.0 / [udp] [h];[Branch=z1] (case)"},
		},
		{
			name: "sent-by", a: "Via: SIP/2.0/UDP [::1]:5060", b: "Via: SIP/2.0/UDP [::2]:5060",
			want: []string{"~ Via: SIP/2.0/UDP [[::1]]:5060 → Via: SIP/2.0/UDP [[::2]]:5060"},
		},
		{
			name: "order of parameters", a: "Via: SIP/2.0/UDP h;branch=z;rport",
			b: "Via: SIP/2.0/UDP h;rport;branch=z",
			want: []string{
				"= Via: SIP/2.0/UDP h;[branch=z];rport → Via: SIP/2.0/UDP h;rport;[branch=z] (order of parameters)",
			},
		},
		{
			name: "order and value", a: "Via: SIP/2.0/UDP h;branch=z;rport=1",
			b:    "Via: SIP/2.0/UDP h;rport=2;branch=z",
			want: []string{"~ Via: SIP/2.0/UDP h;branch=z;rport=[1] → Via: SIP/2.0/UDP h;rport=[2];branch=z"},
		},
		{
			name: "parameter added", a: "Via: SIP/2.0/UDP h;branch=z",
			b:    "Via: SIP/2.0/UDP h;received=1.2.3.4;branch=z",
			want: []string{"~ Via: SIP/2.0/UDP h;branch=z → Via: SIP/2.0/UDP h;[received=1.2.3.4];branch=z"},
		},
		{
			name: "quotes of a display name", a: `To: "Bob" <sip:b@h>`, b: "To: Bob <sip:b@h>",
			want: []string{`= To: ["Bob"] <sip:b@h> → To: [Bob] <sip:b@h> (quotes)`},
		},
		{
			name: "display name", a: `To: "Bob" <sip:b@h>;tag=1`, b: `To: "Bill" <sip:b@h>;tag=1`,
			want: []string{`~ To: ["Bob"] <sip:b@h>;tag=1 → To: ["Bill"] <sip:b@h>;tag=1`},
		},
		{
			name: "brackets", a: "To: sip:b@h;tag=1", b: "To: <sip:b@h>;tag=1",
			want: []string{"= To: sip:b@h;tag=1 → To: [<]sip:b@h[>];tag=1 (brackets)"},
		},
		{
			name: "parameter of URI or of header", a: "To: <sip:b@h;x=1>", b: "To: sip:b@h;x=1",
			want: []string{"~ To: <sip:b@h;[x=1]> → To: sip:b@h;[x=1]"},
		},
		{
			name: "tag", a: "From: <sip:b@h>;tag=A", b: "From: <sip:b@h>;tag=a",
			want: []string{"~ From: <sip:b@h>;tag=[A] → From: <sip:b@h>;tag=[a]"},
		},
		{
			name: "number", a: "Max-Forwards: 070", b: "Max-Forwards: 70",
			want: []string{"= Max-Forwards: [070] → Max-Forwards: [70] (form of a number)"},
		},
		{
			name: "other number", a: "Max-Forwards: 70", b: "Max-Forwards: 69",
			want: []string{"~ Max-Forwards: [70] → Max-Forwards: [69]"},
		},
		{
			name: "q", a: "Contact: <sip:a>;q=1.0;expires=060", b: "Contact: <sip:a>;q=1;expires=60",
			want: []string{
				"= Contact: <sip:a>;q=[1.0];expires=[060] → Contact: <sip:a>;q=[1];expires=[60] (form of a number)",
			},
		},
		{
			name: "no number", a: "Expires: soon", b: "Expires: later",
			want: []string{"~ Expires: [soon] → Expires: [later]"},
		},
		{
			name: "option tags", a: "Supported: timer, 100rel", b: "Supported: 100REL,timer",
			want: []string{"= Supported: timer, [100rel] → Supported: [100REL],timer (order of values)"},
		},
		{
			name: "option tag", a: "Supported: timer, 100rel", b: "Supported: path, timer",
			want: []string{"~ Supported: timer, [100rel] → Supported: [path], timer"},
		},
		{
			name: "options in two lines", a: "Supported: timer, 100rel", b: "k: 100rel\nk: timer",
			want: []string{
				"= [Supported]: [timer], 100rel → [k]: 100rel (compact form)",
				"+ [k]: [timer] (list in one line)",
			},
		},
		{
			name: "options in two lines, and one more", a: "Supported: timer, 100rel",
			b:    "k: 100rel\nk: timer, path",
			want: []string{"= [Supported]: [timer], 100rel → [k]: 100rel (compact form)", "+ k: timer, [path]"},
		},
		{
			name: "methods have case", a: "Allow: INVITE, BYE", b: "Allow: INVITE, bye",
			want: []string{"~ Allow: INVITE, [BYE] → Allow: INVITE, [bye]"},
		},
		{
			name: "media type", a: "Content-Type: application/SDP;charset=x", b: "c: Application/sdp ; charset=X",
			want: []string{
				"= [Content-Type]: [application/SDP];charset=[x] → [c]: [Application/sdp] ; charset=[X] (compact form)",
			},
		},
		{
			name: "event byte by byte", a: "Event: presence;id=1", b: "Event: Presence;id=1",
			want: []string{"~ Event: [presence];id=1 → Event: [Presence];id=1"},
		},
		{
			name: "CSeq", a: "CSeq: 1 INVITE", b: "CSeq: 01 INVITE",
			want: []string{"= CSeq: [1] INVITE → CSeq: [01] INVITE (form of a number)"},
		},
		{
			name: "CSeq number", a: "CSeq: 1 INVITE", b: "CSeq: 2 INVITE",
			want: []string{"~ CSeq: [1] INVITE → CSeq: [2] INVITE"},
		},
		{
			name: "CSeq method", a: "CSeq: 1 INVITE", b: "CSeq: 1 invite",
			want: []string{"~ CSeq: 1 [INVITE] → CSeq: 1 [invite]"},
		},
		{
			name: "credentials", a: `Authorization: Digest username="u", realm="r", nonce="1", qop=auth`,
			b: `Authorization: digest realm="r",username="u", nonce="2", qop="auth"`,
			want: []string{
				`~ Authorization: Digest username="u", realm="r", nonce=["1"], qop=auth → ` +
					`Authorization: digest realm="r",username="u", nonce=["2"], qop="auth"`,
			},
		},
		{
			name: "order of credentials", a: `Authorization: Digest username="u", realm="r"`,
			b: `Authorization: Digest realm="r", username="u"`,
			want: []string{
				`= Authorization: Digest username="u", [realm="r"] → ` +
					`Authorization: Digest [realm="r"], username="u" (order of parameters)`,
			},
		},
		{
			name: "Privacy", a: "Privacy: id;header", b: "Privacy: header;id",
			want: []string{"= Privacy: id;[header] → Privacy: [header];id (order of values)"},
		},
		{
			name: "Reason", a: `Reason: Q.850;cause=16;text="x"`, b: `Reason: q.850 ;cause=016;text="X"`,
			want: []string{`~ Reason: Q.850;cause=16;text=["x"] → Reason: q.850 ;cause=016;text=["X"]`},
		},
		{
			name: "unknown header", a: "X-Foo: a b;c", b: "X-Foo: a c;c",
			want: []string{"~ X-Foo: a [b;c] → X-Foo: a [c;c]"},
		},
		{
			name: "unknown header, case", a: "X-Foo: Abc", b: "X-Foo: abc",
			want: []string{"~ X-Foo: [Abc] → X-Foo: [abc]"},
		},
		{
			name: "no header", a: "what is this", b: "what was this",
			want: []string{"~ what [is] this → what [was] this"},
		},
		{
			name: "empty and missing", a: "Supported:", b: "",
			want: []string{"- Supported:"},
		},
		{
			name: "junk is not lost", a: "To: <sip:b@h> junk;tag=1", b: "To: <sip:b@h> trash;tag=1",
			want: []string{"~ To: <sip:b@h> [junk];tag=1 → To: <sip:b@h> [trash];tag=1"},
		},
		{
			name: "blanks in a name", a: "To: Bob  B <sip:b>", b: "To: Bob\tB <sip:b>",
			want: []string{"= To: [Bob  B] <sip:b> → To: [Bob\tB] <sip:b> (white space)"},
		},
		{
			name: "escaped quote", a: `To: "B\"ob" <sip:b>`, b: `To: "B\ob" <sip:b>`,
			want: []string{`~ To: ["B\"ob"] <sip:b> → To: ["B\ob"] <sip:b>`},
		},
		{
			name: "q of nothing", a: "Contact: <sip:a>;q=0.0", b: "Contact: <sip:a>;q=.",
			want: []string{"= Contact: <sip:a>;q=[0.0] → Contact: <sip:a>;q=[.] (form of a number)"},
		},
		{
			name: "empty element", a: "Supported: a,,b", b: "Supported: a,b",
			want: []string{"= Supported: a,[,]b → Supported: a,b (punctuation)"},
		},
		{
			name: "lines of a set exchanged", a: "Supported: a\nSupported: b", b: "Supported: b\nSupported: a",
			want: []string{
				"= Supported: [a] → Supported: b (order of values)",
				"= Supported: b → Supported: [a] (order of values)",
			},
		},
		{
			name: "lines of a set, written differently", a: "Supported: a\nSupported: b", b: "Supported: a\nSupported:  b",
			want: []string{"= Supported: b → Supported: [ ]b (white space)"},
		},
		{
			name: "port that is none", a: "Via: SIP/2.0/UDP h:;branch=z", b: "Via: SIP/2.0/UDP h:x;branch=z",
			want: []string{"~ Via: SIP/2.0/UDP h:;branch=z → Via: SIP/2.0/UDP h:[x];branch=z"},
		},
		{
			name: "address without URI", a: "To: <>", b: "To: <sip:b>",
			want: []string{"~ To: <> → To: <[sip]:[b]>"},
		},
		{
			name: "URI headers", a: "Refer-To: <sip:b?X=1&Y=%61>", b: "Refer-To: <sip:b?y=a&x=2>",
			want: []string{"~ Refer-To: <sip:b?X=[1]&Y=%61> → Refer-To: <sip:b?y=a&x=[2]>"},
		},
		{
			name: "length of the body", a: "Content-Length: 2\n\nxy", b: "Content-Length: 3\n\nxyz",
			want: []string{"= Content-Length: [2] → Content-Length: [3] (expected: another body)", "~ xy → xyz"},
		},
		{
			name: "wrong length", a: "Content-Length: 2\n\nxy", b: "Content-Length: 9\n\nxy",
			want: []string{"~ Content-Length: [2] → Content-Length: [9]"},
		},
		{
			name: "length with zeros", a: "Content-Length: 002\n\nxy", b: "Content-Length: 2\n\nxy",
			want: []string{"= Content-Length: [002] → Content-Length: [2] (form of a number)"},
		},
	}
}
