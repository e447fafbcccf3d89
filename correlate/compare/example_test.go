package compare_test

import (
	"fmt"

	"sipscope/correlate/compare"
	"sipscope/decode/sip"
)

func ExampleMessages() {
	var a, b sip.Message
	for _, p := range []struct {
		m    *sip.Message
		text string
	}{
		{&a, "BYE sip:bob@example.com SIP/2.0\r\nVia: SIP/2.0/UDP a.example;branch=z9hG4bK1\r\nCall-ID: 1\r\n\r\n"},
		{&b, "BYE sip:bob@example.com SIP/2.0\r\nv: SIP/2.0/TCP a.example;branch=z9hG4bK2\r\nCall-ID: 2\r\n\r\n"},
	} {
		if err := sip.Parse([]byte(p.text), p.m); err != nil {
			fmt.Println(err)
			return
		}
	}
	r := compare.Messages(&a, &b, compare.Options{Ignore: true})
	for _, l := range r.Lines {
		fmt.Printf("%s %s %q %t %q\n", l.Change, l.Section, l.Name, l.Meaning, l.Why)
	}
	fmt.Println(r.Differences, "difference")
	// Output:
	// same start "" false ""
	// changed header "Via" true ""
	// changed header "Call-ID" false "expected: new call"
	// 1 difference
}
