package query

// Help explains the language in plain text, for terminals at least 80 cells wide. The fields are in Fields.
func Help() string {
	return `A filter chooses calls. It is a text to look for in the messages, or an expression over fields of a call.

A text is what has no operator and no bracket outside of quotes, and is no field:
  alice          +4930123          10.0.0.1          Busy Here
In quotes, anything is a text:
  "status"       "a == b"          'say "hello"'
A call matches when any of its messages holds the text, headers and body alike.

An expression compares fields:
  status >= 400 && from.user startsWith "100"
  method == "INVITE" and state in ["busy", "failed"] and not text("Asterisk")
  setup > 2s or pdd in 150ms..1s
  src in "10.0.0.0/8" and header.X-Account-ID == "4711"

Operators:
  == != < <= > >=                        compare; what is unknown matches only !=
  and or not (&& || !)                   join
  contains startsWith endsWith matches   of a text; matches takes a pattern (RE2)
  in                                     a list [486, 600], a range 400..499, "UDP" in transports,
                                         an address in "10.0.0.0/8"
  + - * /                                of numbers
Numbers may be durations: 150ms, 2s, 1m30s, 1h (seconds without a unit).
Times are in quotes, UTC without a zone: start >= "2024-05-01 12:00".

Functions:
  text("...")      a message of the call holds this text
  ip("...")        source or destination is this address, or in this network; several may be given
  header("Name")   first value of the header in the call, "" without one; also header.Name
  date("...")      a time
  lower(x) upper(x) trim(x) len(x) abs(x)

Ignoring case concerns texts and matches; == and the other operators stay exact: write lower(from.user) == "alice".
`
}
