package sip

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// verdict is what this package has to say about a message of RFC 4475 or RFC 5118: rejected, or read with these
// diags (none: the RFC calls it valid, or wrong in what only an element can know), and some of its parts.
type verdict struct {
	reject bool
	diags  string // codes in order, blank-separated
	fields string // "name=value" of what fieldsOf gives, "|"-separated
}

// torture has a verdict for every message of RFC 4475.
var torture = map[string]verdict{
	// 3.1.1 valid messages
	"wsinv": {
		diags: "branch", // the top branch has no magic cookie: RFC 2543
		fields: "method=INVITE|vias=3|via=UDP 192.0.2.2 390skdjuw|cid=wsinv.ndaksdj@192.0.2.1|cseq=9 INVITE|mf=68|" +
			"from=jdrosen@example.com|touser=vivekg|totag=1918181833n",
	},
	"intmeth": {
		fields: "method=!interesting-Method0123456789_*+`.%indeed'~|cseq=139122385 !interesting-Method0123456789_*+`.%indeed'~|" +
			"via=TCP host1.example.com z9hG4bK-.!%66*_+`'~|fromtag=_token~1'+`*%!-.|display=token1~` token2'+_ token3*%!.-|" +
			"touser=1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*",
	},
	"esc01": {
		fields: "method=INVITE|uri=sip:sips%3Auser%40example.com@example.net|touser=%75se%72|contact=sip:cal%6Cer@host5.example.net;%6C%72;n%61me=v%61lue%25%34%31",
	},
	"escnull":    {fields: "method=REGISTER|contacts=2|contact=sip:%00@host5.example.com"},
	"esc02":      {fields: "method=RE%47IST%45R|contacts=2|via=TCP host.example.com z9hG4bK209%fzsnel234"},
	"lwsdisp":    {fields: "display=caller|from=caller@example.com|fromtag=323"},
	"longreq":    {diags: "branch", fields: "vias=34|via=TCP sip33.example.com |body=150|totag="},
	"dblreq":     {diags: "length-short", fields: "method=REGISTER|body=0|cid=dblreq.0ha0isndaksdj99sdfafnl3lk233412"},
	"semiuri":    {fields: "uri=sip:user;par=u%40example.net@example.com|cid=semiuri.0ha0isndaksdj"},
	"transports": {fields: "vias=5|via=UDP t1.example.com z9hG4bKkdjuw"},
	"mpart01":    {fields: "method=MESSAGE|body=553|type=multipart/mixed|parts=text/plain:5,application/octet-stream:342"},
	"unreason":   {fields: "status=200|reason=" + "= 2**3 * 5**2 но сто девяносто девять - простое"},
	"noreason":   {fields: "status=100|reason=|cseq=35 INVITE"},
	// 3.1.2 invalid messages
	"badinv01": {
		diags: "params params branch", fields: "contact=sip:joe@example.org|cid=badinv01.0ha0isndaksdjasdf3234nas",
	},
	"clerr":    {diags: "length-long", fields: "length=9999|body=154"},
	"ncl":      {diags: "length", fields: "length=-1|body=152"},
	"scalar02": {diags: "cseq-range number number number", fields: "cseq=0 REGISTER|expires=4294967295|mf=-1"},
	"scalarlg": {diags: "cseq-range number number to-tag", fields: "status=503|cseq=0 OPTIONS"},
	"quotbal":  {diags: "quote", fields: "touser=j.user|todisplay=Mr. J. User"},
	"ltgtruri": {diags: "uri-brackets branch", fields: "uri=sip:user@example.com"},
	"lwsruri":  {diags: "uri-blanks", fields: "uri=sip:user@example.com; lr|cseq=2130706432 INVITE"},
	"lwsstart": {diags: "start-line-blanks", fields: "uri=sip:user@example.com|method=INVITE"},
	"trws":     {diags: "start-line-blanks", fields: "uri=sip:remote-target@example.com"},
	"escruri":  {diags: "uri-headers", fields: "uri=sip:user@example.com?Route=%3Csip:example.com%3E"},
	"baddate":  {diags: "date", fields: "method=INVITE"},
	"regbadct": {diags: "bracket", fields: "contact=sip:user@example.com?Route=%3Csip:sip.example.com%3E"},
	"badaspec": {diags: "uri-blanks", fields: "touser=t.watson|todisplay=Watson, Thomas"},
	"baddn": {
		diags: "display-name display-name head-open", fields: "touser=t.watson|display=Bell, Alexander|fromtag=43",
	},
	"badvers":    {diags: "version", fields: "method=OPTIONS|display=A. Bell"},
	"mismatch01": {diags: "cseq-method", fields: "method=OPTIONS|cseq=8 INVITE"},
	"mismatch02": {diags: "cseq-method", fields: "method=NEWMETHOD|cseq=8 INVITE"},
	"bigcode":    {diags: "status", fields: "status=65535|reason=better not break the receiver"},
	// 3.2 transaction layer semantics
	"badbranch": {diags: "branch", fields: "via=UDP 192.0.2.1 z9hG4bK"},
	// 3.3 application-layer semantics
	"insuf": {
		diags: "missing-from missing-to missing-call-id missing-max-forwards missing-contact", fields: "method=INVITE|cid=",
	},
	"unkscm":   {fields: "uri=nobodyKnowsThisScheme:totallyopaquecontent"},
	"novelsc":  {fields: "uri=soap.beep://192.0.2.103:3002"},
	"unksm2":   {fields: "contact=name:John_Smith|touser=|from=@www.example.com"},
	"bext01":   {fields: "require=nothingSupportsThis,nothingSupportsThisEither"},
	"invut":    {fields: "type=application/unknownformat|body=40"},
	"regaut01": {fields: "method=REGISTER|length=0"},
	"multi01": {
		diags:  "repeated repeated repeated repeated repeated",
		fields: "cid=multi01.98asdh@192.0.2.1|cseq=5 INVITE|fromtag=3413415|mf=70|contacts=2",
	},
	"mcl01":    {diags: "repeated length-short", fields: "length=13|body=13"},
	"bcast":    {fields: "status=200|vias=2|via=UDP 192.0.2.198 z9hG4bK1324923"},
	"zeromf":   {fields: "mf=0"},
	"cparam01": {fields: "contact=sip:+19725552222@gw1.example.net|contactparams=;unknownparam"},
	"cparam02": {fields: "contact=sip:+19725552222@gw1.example.net;unknownparam|contactparams="},
	"regescrt": {fields: "contact=sip:user@example.com?Route=%3Csip:sip.example.com%3E"},
	"sdp01":    {fields: "type=application/sdp|body=150"},
	// 3.4 backward compatibility
	"inv2543": {
		diags:  "missing-max-forwards missing-contact from-tag branch",
		fields: "from=+13035551111@ift.client.example.net|length=-1|body=105",
	},
	// not in the RFC's text, in its archive: a request line without a version is none
	"test": {reject: true},
}

// torture6 has a verdict for every message of RFC 5118. Three of its Content-Lengths are wrong.
var torture6 = map[string]verdict{
	"ipv6-good":                     {fields: "uri=sip:[2001:db8::10]|via=UDP [2001:db8::9:1] z9hG4bKas3-111"},
	"ipv6-bad":                      {diags: "host", fields: "uri=sip:2001:db8::10"},
	"port-ambiguous":                {fields: "uri=sip:[2001:db8::10:5070]"},
	"port-unambiguous":              {fields: "uri=sip:[2001:db8::10]:5070"},
	"via-received-param-with-delim": {fields: "received=[2001:db8::9:255]"},
	"via-received-param-no-delim":   {fields: "received=2001:db8::9:255|via=UDP [2001:db8::9:1] z9hG4bKas3"},
	"ipv6-in-sdp":                   {diags: "length-long", fields: "length=268|body=251"},
	"mult-ip-in-sdp":                {diags: "length-short", fields: "length=181|body=181"},
	"mult-ip-in-header":             {fields: "vias=3|via=UDP [2001:db8::9:1] z9hG4bKas3-111"},
	"ipv4-mapped-ipv6":              {diags: "length-short", fields: "length=236|contact=sip:ted@[::ffff:192.0.2.2]"},
	"ipv6-bug-abnf-3-colons":        {diags: "host host", fields: "touser=user"},
	"ipv6-correct-abnf-2-colons":    {fields: "uri=sip:user@[2001:db8::192.0.2.1]|touser=user"},
}

func TestTorture(t *testing.T) {
	t.Parallel()
	for _, set := range []struct {
		folder   string
		verdicts map[string]verdict
	}{{"rfc4475", torture}, {"rfc5118", torture6}} {
		t.Run(set.folder, func(t *testing.T) {
			t.Parallel()
			files, err := filepath.Glob("../../../shared/pcaps/" + set.folder + "/*.dat")
			if err != nil || len(files) == 0 {
				t.Skipf("no %s messages: ../shared/pcaps is not there", set.folder)
			}
			if len(files) != len(set.verdicts) {
				t.Errorf("%d messages, %d verdicts", len(files), len(set.verdicts))
			}
			for _, file := range files {
				name := strings.TrimSuffix(filepath.Base(file), ".dat")
				v, ok := set.verdicts[name]
				if !ok {
					t.Errorf("%s: no verdict", name)
					continue
				}
				raw, err := os.ReadFile(file)
				if err != nil {
					t.Fatal(err)
				}
				judge(t, name, raw, v)
			}
		})
	}
}

func judge(t *testing.T, name string, raw []byte, v verdict) {
	t.Helper()
	var m Message
	err := Parse(raw, &m)
	if (err != nil) != v.reject || IsStart(raw) == v.reject {
		t.Errorf("%s: error %v, want reject %v", name, err, v.reject)
		return
	}
	if diff := cmp.Diff(v.diags, diagNames(&m)); diff != "" {
		t.Errorf("%s: diags (-want +got)\n%s", name, diff)
	}
	checkSpans(t, &m)
	got := fieldsOf(&m)
	for want := range strings.SplitSeq(v.fields, "|") {
		if key, value, ok := strings.Cut(want, "="); ok && got[key] != value {
			t.Errorf("%s: %s = %q, want %q", name, key, got[key], value)
		}
	}
}
