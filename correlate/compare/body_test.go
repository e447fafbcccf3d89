package compare_test

import "testing"

// sdpText is a message with a session description.
func sdpText(lines string) string { return "Content-Type: application/sdp\n\n" + lines }

func TestSDP(t *testing.T) {
	t.Parallel()
	runTable(t, sdpTable())
}

func sdpTable() []row {
	return []row{
		{
			name: "order of attributes", a: sdpText("m=audio 1 RTP/AVP 0\na=ptime:20\na=mid:1\n"),
			b:    sdpText("m=audio 1 RTP/AVP 0\na=mid:1\na=ptime:20\n"),
			want: []string{"> a=mid:1"},
		},
		{
			name: "order of formats", a: sdpText("m=audio 1 RTP/AVP 0 8 101\n"),
			b:    sdpText("m=audio 1 RTP/AVP 8 0 101\n"),
			want: []string{"~ m=audio 1 RTP/AVP [0] 8 101 → m=audio 1 RTP/AVP 8 [0] 101"},
		},
		{
			name: "port and format", a: sdpText("m=audio 1 RTP/AVP 0 8\n"), b: sdpText("m=audio 2 RTP/AVP 8\n"),
			want: []string{"~ m=audio [1] RTP/AVP [0] 8 → m=audio [2] RTP/AVP 8"},
		},
		{
			name: "address", a: sdpText("c=IN IP4 192.0.2.1\n"), b: sdpText("c=IN IP4 0.0.0.0\n"),
			want: []string{"~ c=IN IP4 [192.0.2.1] → c=IN IP4 [0.0.0.0]"},
		},
		{
			name: "case of a codec", a: sdpText("a=rtpmap:97 OPUS/48000/2\n"),
			b:    sdpText("a=rtpmap:97 opus/48000/2\n"),
			want: []string{"= a=rtpmap:97 [OPUS]/48000/2 → a=rtpmap:97 [opus]/48000/2 (case)"},
		},
		{
			name: "one channel", a: sdpText("a=rtpmap:97 iLBC/8000\n"), b: sdpText("a=rtpmap:97 iLBC/8000/1\n"),
			want: []string{"= a=rtpmap:97 iLBC/8000 → a=rtpmap:97 iLBC/8000/[1] (default)"},
		},
		{
			name: "by payload", a: sdpText("m=audio 1 RTP/AVP 97 98\na=rtpmap:97 x/8000\na=rtpmap:98 y/8000\n"),
			b:    sdpText("m=audio 1 RTP/AVP 97 98\na=rtpmap:98 y/8000\na=rtpmap:97 x/16000\n"),
			want: []string{"~ a=rtpmap:97 x/[8000] → a=rtpmap:97 x/[16000]"},
		},
		{
			name: "fmtp", a: sdpText("a=fmtp:97 mode=30; vbr=on\n"), b: sdpText("a=fmtp:97 vbr=on;mode=30\n"),
			want: []string{"= a=fmtp:97 [mode=30]; vbr=on → a=fmtp:97 vbr=on;[mode=30] (order of parameters)"},
		},
		{
			name: "fmtp value", a: sdpText("a=fmtp:101 0-15\n"), b: sdpText("a=fmtp:101 0-16\n"),
			want: []string{"~ a=fmtp:101 [0-15] → a=fmtp:101 [0-16]"},
		},
		{
			name: "direction", a: sdpText("m=audio 1 RTP/AVP 0\na=sendrecv\n"),
			b:    sdpText("m=audio 1 RTP/AVP 0\na=sendonly\n"),
			want: []string{"~ a=[sendrecv] → a=[sendonly]"},
		},
		{
			name: "direction not stated", a: sdpText("m=audio 1 RTP/AVP 0\na=sendrecv\n"),
			b:    sdpText("m=audio 1 RTP/AVP 0\n"),
			want: []string{"- a=sendrecv (default)"},
		},
		{
			name: "direction of the session", a: sdpText("a=inactive\nm=audio 1 RTP/AVP 0\na=sendrecv\n"),
			b:    sdpText("a=inactive\nm=audio 1 RTP/AVP 0\n"),
			want: []string{"- a=sendrecv"},
		},
		{
			name: "static payload", a: sdpText("m=audio 1 RTP/AVP 0\na=rtpmap:0 PCMU/8000\n"),
			b:    sdpText("m=audio 1 RTP/AVP 0\n"),
			want: []string{"- a=rtpmap:0 PCMU/8000 (default)"},
		},
		{
			name: "medium removed", a: sdpText("m=audio 1 RTP/AVP 0\na=sendrecv\nm=video 2 RTP/AVP 99\na=mid:v\n"),
			b:    sdpText("m=video 2 RTP/AVP 99\na=mid:v\n"),
			want: []string{"- m=audio 1 RTP/AVP 0", "- a=sendrecv"},
		},
		{
			name: "second medium", a: sdpText("m=audio 1 RTP/AVP 0\na=mid:1\nm=audio 2 RTP/AVP 0\na=mid:2\n"),
			b:    sdpText("m=audio 1 RTP/AVP 0\na=mid:1\nm=audio 2 RTP/AVP 0\na=mid:3\n"),
			want: []string{"~ a=mid:[2] → a=mid:[3]"},
		},
		{
			name: "payload that is no number", a: sdpText("a=rtpmap:x PCMU/8000\n"), b: sdpText("s=\n"),
			want: []string{"+ s=", "- a=rtpmap:x PCMU/8000"},
		},
		{
			name: "blanks", a: sdpText("s = x\nv=0\n"), b: sdpText("s=x\nv=0\n"),
			want: []string{"= s[ = ]x → s[=]x (white space)"},
		},
		{
			name: "no SDP", a: sdpText("hello world\n"), b: sdpText("hello moon\n"),
			want: []string{"~ hello [world] → hello [moon]"},
		},
	}
}

func TestBody(t *testing.T) {
	t.Parallel()
	runTable(t, bodyTable())
}

func bodyTable() []row {
	multi := func(boundary, isup string, sdp string) string {
		return "Content-Type: multipart/mixed;boundary=" + boundary + "\n\n--" + boundary +
			"\nContent-Type: application/sdp\n\n" + sdp + "--" + boundary +
			"\nContent-Type: application/isup; version=itu\n\n" + isup + "\n--" + boundary + "--\n"
	}
	text := "Content-Type: text/plain\n\n"
	return []row{
		{
			name: "word", a: text + "one two\nthree\n", b: text + "one 2\nthree\n",
			want: []string{"~ one [two] → one [2]"},
		},
		{
			name: "line inserted", a: text + "a b\nc d\n", b: text + "a b\nx y\nc d\n",
			want: []string{"+ x y"},
		},
		{
			name: "nothing in common", a: text + "a b\nc\nsame\n", b: text + "x y\nsame\n",
			want: []string{"- a b", "- c", "+ x y"},
		},
		{
			name: "white space", a: text + "a  b\n", b: text + "a b\n",
			want: []string{"= a [ ]b → a b (white space)"},
		},
		{
			name: "one for one", a: text + "Signal=1\nDuration=160\n", b: text + "Signal=2\nDuration=160\n",
			want: []string{"~ Signal=1 → Signal=2"},
		},
		{
			name: "line end", a: text + "a", b: text + "a\n",
			want: []string{"= a → a (line end)"},
		},
		{
			name: "bytes", a: text + "\x00\x01 \xff", b: text + "\x00\x01  \xff",
			want: []string{"~ \x00\x01 \xff → \x00\x01  \xff"},
		},
		{
			name: "another type", a: text + "v=0\n", b: sdpText("v=0\n"),
			want: []string{"~ Content-Type: [text/plain] → Content-Type: [application/sdp]", "- v=0", "+ v=0"},
		},
		{
			name: "boundary", ignore: true, a: multi("x", "1", "s=a\n"), b: multi("y", "1", "s=a\n"),
			want: []string{
				"= Content-Type: multipart/mixed;boundary=[x] → " +
					"Content-Type: multipart/mixed;boundary=[y] (expected: new boundary)",
				"= --[x] → --[y] (expected: new boundary)",
				"= --[x] → --[y] (expected: new boundary)",
				"= --[x]-- → --[y]-- (expected: new boundary)",
			},
		},
		{
			name: "parts", a: multi("x", "1", "s=a\n"), b: multi("x", "2", "s=b\n"),
			want: []string{"~ s=[a] → s=[b]", "~ 1 → 2"},
		},
		{
			name: "parts in a part",
			a: "Content-Type: multipart/mixed;boundary=o\n\n--o\nContent-Type: multipart/alternative;boundary=i\n\n" +
				"--i\nContent-Type: application/sdp\n\ns=a\n--i--\n--o--\n",
			b: "Content-Type: multipart/mixed;boundary=o\n\n--o\nContent-Type: multipart/alternative;boundary=i\n\n" +
				"--i\nContent-Type: application/sdp\n\ns=b\n--i--\n--o--\n",
			want: []string{"~ s=[a] → s=[b]"},
		},
		{
			name: "part removed", a: multi("x", "1", "s=a\n"), b: sdpText("s=a\n"),
			want: []string{
				"~ Content-Type: [multipart/mixed];[boundary=x] → Content-Type: [application/sdp]",
				"- --x",
				"- Content-Type: application/sdp",
				"- ",
				"- --x",
				"- Content-Type: application/isup; version=itu",
				"- ",
				"- 1",
				"- --x--",
			},
		},
	}
}
