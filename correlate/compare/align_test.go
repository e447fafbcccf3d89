package compare_test

import (
	"strings"
	"testing"
)

func TestAlign(t *testing.T) {
	t.Parallel()
	runTable(t, alignTable())
}

func alignTable() []row {
	via := func(hosts ...string) string {
		var lines []string
		for _, h := range hosts {
			lines = append(lines, "Via: SIP/2.0/UDP "+h+";branch=z"+h)
		}
		return strings.Join(lines, "\n")
	}
	return []row{
		{
			name: "inserted Via", a: via("b", "c"), b: via("a", "b", "c"),
			want: []string{"+ Via: SIP/2.0/UDP a;branch=za"},
		},
		{
			name: "inserted Via, new branches", a: via("b", "c"),
			b: strings.ReplaceAll(via("a", "b", "c"), "=z", "=y"),
			want: []string{
				"+ Via: SIP/2.0/UDP a;branch=ya",
				"~ Via: SIP/2.0/UDP b;branch=[zb] → Via: SIP/2.0/UDP b;branch=[yb]",
				"~ Via: SIP/2.0/UDP c;branch=[zc] → Via: SIP/2.0/UDP c;branch=[yc]",
			},
		},
		{
			name: "removed in the middle", a: via("a", "b", "c") + "\nTo: <sip:b>",
			b:    via("a", "c") + "\nTo: <sip:b>",
			want: []string{"- Via: SIP/2.0/UDP b;branch=zb"},
		},
		{
			name: "Via list in one line", a: "Via: SIP/2.0/UDP a, SIP/2.0/UDP b",
			b: "Via: SIP/2.0/UDP a\nVia: SIP/2.0/UDP b",
			want: []string{
				"= Via: SIP/2.0/UDP a[, ] → Via: SIP/2.0/UDP a (list in one line)",
				"= SIP/2.0/UDP b → [Via]: SIP/2.0/UDP b (list in one line)",
			},
		},
		{
			name: "list in one line on both sides", a: "Route: <sip:a;lr>, <sip:b;lr>",
			b:    "Route: <sip:a;lr>, <sip:c;lr>",
			want: []string{"~ Route: <sip:a;lr>, <sip:[b];lr> → Route: <sip:a;lr>, <sip:[c];lr>"},
		},
		{
			name: "list, one more", a: "Route: <sip:a;lr>, <sip:b;lr>", b: "Route: <sip:b;lr>",
			want: []string{"- Route: <sip:a;lr>, ", "= <sip:b;lr> → [Route]: <sip:b;lr> (list in one line)"},
		},
		{
			name: "comma in quotes", a: `Contact: "a, b" <sip:a>`, b: `Contact: "a, c" <sip:a>`,
			want: []string{`~ Contact: ["a, b"] <sip:a> → Contact: ["a, c"] <sip:a>`},
		},
		{
			name: "routes exchanged", a: "Route: <sip:a>\nRoute: <sip:b>", b: "Route: <sip:b>\nRoute: <sip:a>",
			want: []string{"- Route: <sip:a>", "+ Route: <sip:a>"},
		},
		{
			name: "contacts exchanged", a: "Contact: <sip:a>\nContact: <sip:b>",
			b:    "Contact: <sip:b>\nContact: <sip:a>",
			want: []string{"> Contact: <sip:a>"},
		},
		{
			name: "order of headers", a: "From: <sip:a>\nTo: <sip:b>\nCall-ID: 1",
			b:    "Call-ID: 1\nFrom: <sip:a>\nTo: <sip:b>",
			want: []string{"> Call-ID: 1"},
		},
		{
			name: "moved and changed", a: "From: <sip:a>\nTo: <sip:b>", b: "To: <sip:c>\nFrom: <sip:a>",
			want: []string{"~ To: <sip:[b]> → To: <sip:[c]>"},
		},
		{
			name: "added behind its neighbour", a: "From: <sip:a>\nTo: <sip:b>",
			b:    "From: <sip:a>\nZ: 1\nW: 2\nTo: <sip:b>",
			want: []string{"+ Z: 1", "+ W: 2"},
		},
		{
			name: "added on top", a: "From: <sip:a>", b: "Z: 1\nFrom: <sip:a>",
			want: []string{"+ Z: 1"},
		},
		{
			name: "values of a list exchanged over lines", a: "In-Reply-To: 1, 2\nIn-Reply-To: 3",
			b: "In-Reply-To: 1\nIn-Reply-To: 2, 3",
			want: []string{
				"= In-Reply-To: 1[, ] → In-Reply-To: 1 (list in one line)",
				"= 2 → [In-Reply-To]: 2,  (list in one line)",
				"= [In-Reply-To]: 3 → 3 (list in one line)",
			},
		},
		{
			name: "removed before added", a: "From: <sip:a>\nZ: 1\nZ: 2\nZ: 3",
			b:    "From: <sip:a>\nZ: 1\nZ: 4\nZ: 5\nZ: 6\nZ: 3",
			want: []string{"~ Z: [2] → Z: [4]", "+ Z: 5", "+ Z: 6"},
		},
	}
}

func TestIgnore(t *testing.T) {
	t.Parallel()
	runTable(t, ignoreTable())
}

func ignoreTable() []row {
	return []row{
		{
			name: "branch", ignore: true, a: "Via: SIP/2.0/UDP h;branch=z1", b: "Via: SIP/2.0/UDP h;branch=z2",
			want: []string{
				"= Via: SIP/2.0/UDP h;branch=[z1] → Via: SIP/2.0/UDP h;branch=[z2] (expected: new transaction)",
			},
		},
		{
			name: "branch and more", ignore: true, a: "Via: SIP/2.0/UDP h;branch=z1",
			b:    "Via: SIP/2.0/TCP h;branch=z2",
			want: []string{"~ Via: SIP/2.0/[UDP] h;branch=z1 → Via: SIP/2.0/[TCP] h;branch=z2"},
		},
		{
			name: "tag", ignore: true, a: "From: <sip:a>;tag=1", b: "From: <sip:a>;tag=2",
			want: []string{"= From: <sip:a>;tag=[1] → From: <sip:a>;tag=[2] (expected: new dialog)"},
		},
		{
			name: "no tag", ignore: true, a: "To: <sip:a>;tag=1", b: "To: <sip:a>",
			want: []string{"~ To: <sip:a>;[tag=1] → To: <sip:a>"},
		},
		{
			name: "Call-ID", ignore: true, a: "Call-ID: 1@a", b: "i: 2@a",
			want: []string{"= Call-ID: [1@a] → i: [2@a] (expected: new call)"},
		},
		{
			name: "CSeq", ignore: true, a: "CSeq: 1 BYE", b: "CSeq: 2 BYE",
			want: []string{"= CSeq: [1] BYE → CSeq: [2] BYE (expected: sequence number)"},
		},
		{
			name: "CSeq method", ignore: true, a: "CSeq: 1 BYE", b: "CSeq: 2 ACK",
			want: []string{"~ CSeq: 1 [BYE] → CSeq: 2 [ACK]"},
		},
		{
			name: "RAck", ignore: true, a: "RAck: 1 2 INVITE\nRSeq: 1", b: "RAck: 3 4 INVITE\nRSeq: 3",
			want: []string{
				"= RAck: [1] [2] INVITE → RAck: [3] [4] INVITE (expected: sequence number)",
				"= RSeq: [1] → RSeq: [3] (expected: sequence number)",
			},
		},
		{
			name: "Date", ignore: true, a: "Date: Sat, 13 Nov 2010 23:29:00 GMT\nTimestamp: 1",
			b: "Date: Sun, 14 Nov 2010 23:29:00 GMT\nTimestamp: 2",
			want: []string{
				"= Date: [Sat, 13 Nov 2010 23:29:00 GMT] → Date: [Sun, 14 Nov 2010 23:29:00 GMT] (expected: other time)",
				"= Timestamp: [1] → Timestamp: [2] (expected: other time)",
			},
		},
		{
			name: "digest", ignore: true, a: `Authorization: Digest username="u", nonce="1", response="1"`,
			b: `Authorization: Digest username="u", nonce="2", response="2"`,
			want: []string{
				`= Authorization: Digest username="u", nonce=["1"], response=["1"] → ` +
					`Authorization: Digest username="u", nonce=["2"], response=["2"] (expected: new challenge)`,
			},
		},
		{
			name: "digest of another", ignore: true, a: `Authorization: Digest username="u", nonce="1"`,
			b: `Authorization: Digest username="v", nonce="2"`,
			want: []string{
				`~ Authorization: Digest username=["u"], nonce="1" → Authorization: Digest username=["v"], nonce="2"`,
			},
		},
		{
			name: "Replaces", ignore: true, a: "Replaces: 1;to-tag=2;from-tag=3",
			b: "Replaces: 4;to-tag=5;from-tag=6",
			want: []string{
				"= Replaces: [1];to-tag=[2];from-tag=[3] → Replaces: [4];to-tag=[5];from-tag=[6] (expected: new dialog)",
			},
		},
		{
			name: "Session-ID", ignore: true, a: "Session-ID: 1;remote=2", b: "Session-ID: 3;remote=4",
			want: []string{"= Session-ID: [1];remote=[2] → Session-ID: [3];remote=[4] (expected: new session)"},
		},
		{
			name: "inserted Via", ignore: true, a: "Via: SIP/2.0/UDP h;branch=1",
			b: "v: SIP/2.0/UDP g;branch=2\nv: SIP/2.0/UDP h;branch=3",
			want: []string{
				"+ v: SIP/2.0/UDP g;branch=2",
				"= Via: SIP/2.0/UDP h;branch=[1] → v: SIP/2.0/UDP h;branch=[3] (expected: new transaction)",
			},
		},
		{
			name: "origin", ignore: true, a: sdpText("o=- 1 2 IN IP4 h\n"), b: sdpText("o=- 3 4 IN IP4 h\n"),
			want: []string{"= o=- [1] [2] IN IP4 h → o=- [3] [4] IN IP4 h (expected: new session)"},
		},
		{
			name: "origin's address", ignore: true, a: sdpText("o=- 1 2 IN IP4 h\n"),
			b:    sdpText("o=- 3 4 IN IP4 g\n"),
			want: []string{"~ o=- 1 2 IN IP4 [h] → o=- 3 4 IN IP4 [g]"},
		},
		{
			name: "keys", ignore: true,
			a: sdpText("a=ice-ufrag:x\na=ssrc:1 cname:c\na=crypto:1 AES inline:k1\n"),
			b: sdpText("a=ice-ufrag:y\na=ssrc:2 cname:c\na=crypto:1 AES inline:k2\n"),
			want: []string{
				"= a=ice-ufrag:[x] → a=ice-ufrag:[y] (expected: new keys)",
				"= a=ssrc:[1] cname:c → a=ssrc:[2] cname:c (expected: new source)",
				"= a=crypto:1 AES [inline:k1] → a=crypto:1 AES [inline:k2] (expected: new keys)",
			},
		},
	}
}
