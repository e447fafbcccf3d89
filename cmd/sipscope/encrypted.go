package main

import (
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"sipscope/decode"
	"sipscope/render/export"
	"sipscope/render/text"
)

// mostEncrypted is how many encrypted connections a list for people shows; JSON has more.
const mostEncrypted = 40

// encryptedTable lists the TLS connections that nobody could look into.
func encryptedTable(w io.Writer, rows []decode.Secured, o text.TableOptions) error {
	if len(rows) == 0 {
		return nil
	}
	t := text.Table{Columns: []text.TableColumn{
		{Title: "encrypted, client"},
		{Title: "server"},
		{Title: "server name"},
		{Title: "why"},
		{Title: "packets", Right: true},
		{Title: "first"},
		{Title: "last"},
	}}
	clock := func(ns int64) string { return time.Unix(0, ns).UTC().Format("15:04:05.000") }
	for i := range rows[:min(len(rows), mostEncrypted)] {
		r := &rows[i]
		s := export.NewSecured(r)
		t.Add(s.Client, s.Server, s.ServerName, s.State, strconv.FormatUint(s.Packets, 10), clock(r.First), clock(r.Last))
	}
	if err := t.Write(w, o); err != nil {
		return err
	}
	_, err := fmt.Fprintln(w, encryptedLine(len(rows)))
	return err
}

// encryptedLine says how many connections nobody could look into, and what can be done.
func encryptedLine(n int) string {
	line := plural(n, "encrypted connection")
	if n > mostEncrypted {
		line += fmt.Sprintf(", of which %d are shown (--format json has all)", mostEncrypted)
	}
	return line + " · sipscope help tls says how to get the keys"
}

// tlsTopic is "sipscope help tls".
func tlsTopic() *cobra.Command {
	return &cobra.Command{Use: "tls", Short: "Encrypted SIP: key logs, and how to get one", Long: `SIP over TLS and over secure WebSocket is shown like any other when the secrets of its connections are known: a key log in
the format that browsers and OpenSSL write (SSLKEYLOGFILE), one line a secret. A private key of the server does not help:
today's key exchanges do not depend on it.

  sipscope trace.pcap -k keys.txt           decrypted with a key log
  sipscope -d eth0 -k keys.txt              live: the file is followed while it grows, and may come later
  sipscope trace.pcapng                     secrets inside of a pcapng file (Decryption Secrets Block) are used as they are
  editcap --inject-secrets tls,keys.txt trace.pcap trace.pcapng      (of Wireshark) puts them there

How to get a key log:

  browsers (WebRTC)    SSLKEYLOGFILE=/tmp/keys.txt firefox     or google-chrome, or chromium; start it anew with the variable
  curl, Node.js        SSLKEYLOGFILE=/tmp/keys.txt curl ...    node --tls-keylog=/tmp/keys.txt server.js
  OpenSSL              openssl s_client -connect host:5061 -keylogfile /tmp/keys.txt     s_server takes it, too
  Kamailio, Asterisk,  they use OpenSSL: a preloaded library writes the log, such as libsslkeylog.so (of the
  OpenSIPS, others     wireshark-notes project): LD_PRELOAD=/path/libsslkeylog.so SSLKEYLOGFILE=/tmp/keys.txt kamailio -DD -E
  Go programs          tls.Config.KeyLogWriter
  sipscope itself      ua, proxy, registrar, redirect, replay: --tls-keylog /tmp/keys.txt
  Java, FreeSWITCH     agents such as extract-tls-secrets; the same library as above

The log must be written while the connection begins: it holds the secrets of one handshake each. A connection that began
before the capture cannot be decrypted. A key log opens what it logs to everybody who has it: use it for tests, keep it
private, remove it afterwards.

Connections that stay closed are listed after the calls: "encrypted, no key", "encrypted, handshake not seen" (the capture began
later), "encrypted, key does not fit" (another run's log), "encrypted, cipher suite not supported".

keylog = "/path" in the configuration file (sipscope help config) and SIPSCOPE_KEYLOG are like -k.
`}
}
