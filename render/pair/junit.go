package pair

import (
	"bufio"
	"encoding/xml"
	"fmt"
	"io"
	"strconv"
	"strings"

	"sipscope/correlate"
	"sipscope/correlate/diff"
	"sipscope/render/text"
)

// The elements of JUnit's XML that Jenkins, GitLab and GitHub read.
type (
	xmlSuites struct {
		XMLName  xml.Name `xml:"testsuites"`
		Name     string   `xml:"name,attr"`
		Tests    int      `xml:"tests,attr"`
		Failures int      `xml:"failures,attr"`
		Time     string   `xml:"time,attr"`
		Suite    xmlSuite `xml:"testsuite"`
	}
	xmlSuite struct {
		Name     string    `xml:"name,attr"`
		Tests    int       `xml:"tests,attr"`
		Failures int       `xml:"failures,attr"`
		Errors   int       `xml:"errors,attr"`
		Skipped  int       `xml:"skipped,attr"`
		Time     string    `xml:"time,attr"`
		Cases    []xmlCase `xml:"testcase"`
		Out      string    `xml:"system-out,omitempty"`
	}
	xmlCase struct {
		Class   string      `xml:"classname,attr"`
		Name    string      `xml:"name,attr"`
		Time    string      `xml:"time,attr"`
		Failure *xmlFailure `xml:"failure"`
		Out     string      `xml:"system-out,omitempty"`
	}
	xmlFailure struct {
		Message string `xml:"message,attr"`
		Type    string `xml:"type,attr"`
		Text    string `xml:",chardata"`
	}
)

// maxCaseRows bounds the differing rows that the text of one test case tells.
const maxCaseRows = 100

// WriteJUnit writes JUnit XML: a suite with a test case for each call of the first side, and one for each that only the
// second side has. A case fails when its messages diverge; with strict also when there are tolerated differences only.
// The time of a case is that of the second side, in seconds. Of a replay the notes are the suite's output.
func (r *Report) WriteJUnit(to io.Writer, strict bool) error {
	name := text.Clean(r.title())
	doc := xmlSuites{Name: "sipscope", Suite: xmlSuite{Name: name}}
	var total int64
	for i := range r.Pairs {
		cases, took := r.cases(&r.Pairs[i], strict)
		doc.Suite.Cases = append(doc.Suite.Cases, cases...)
		total += took
	}
	if r.Replay {
		doc.Suite.Out = r.notes()
	}
	for i := range doc.Suite.Cases {
		if r.Replay {
			doc.Suite.Cases[i].Class = "sipscope.replay"
		}
		if doc.Suite.Cases[i].Failure != nil {
			doc.Suite.Failures++
		}
	}
	doc.Suite.Tests, doc.Suite.Time = len(doc.Suite.Cases), seconds(total)
	doc.Tests, doc.Failures, doc.Time = doc.Suite.Tests, doc.Suite.Failures, doc.Suite.Time
	w := bufio.NewWriter(to)
	_, _ = w.WriteString(xml.Header) // the writer keeps its error
	e := xml.NewEncoder(w)
	e.Indent("", "  ")
	if err := e.Encode(&doc); err != nil {
		return err
	}
	_ = w.WriteByte('\n')
	return w.Flush()
}

// notes are the report's, a line each, clean.
func (r *Report) notes() string {
	lines := make([]string, len(r.Notes))
	for i, n := range r.Notes {
		lines[i] = text.Clean(n)
	}
	return strings.Join(lines, "\n")
}

func seconds(ns int64) string { return strconv.FormatFloat(float64(max(ns, 0))/1e9, 'f', 3, 64) }

// cases makes the test cases of a pair: one, or one a call where several were compared together.
func (r *Report) cases(p *Pair, strict bool) (cases []xmlCase, took int64) {
	var s *scene
	if p.Open != nil {
		if res := p.Open(); res != nil {
			s = newScene(res)
		}
	}
	if s == nil {
		only := p.A
		if only == nil {
			only = p.B
		}
		return []xmlCase{oneCase(only, p.Verdict, strict, p.Headline, nil)}, 0
	}
	if len(s.r.A.Calls) <= 1 && len(s.r.B.Calls) <= 1 {
		if p.B != nil {
			took = p.B.Last - p.B.First
		}
		one := oneCase(p.A, p.Verdict, strict, p.Headline, tell(s, func(*row) bool { return true }))
		one.Time = seconds(took)
		return []xmlCase{one}, took
	}
	for i := range s.r.A.Calls {
		c := r.callCase(s, p, strict, &s.r.A.Calls[i].Summary, func(x *row) bool { return x.a.there() && x.A.Call == i })
		cases = append(cases, c)
	}
	extra := func(x *row) bool { return !x.a.there() }
	for i := range s.rows {
		if extra(&s.rows[i]) && telling(s.rows[i].Verdict) && s.rows[i].Verdict != diff.Tolerated {
			return append(cases, r.callCase(s, p, strict, nil, extra)), 0
		}
	}
	return cases, 0
}

// callCase is the test case of one of several calls that were compared together: of those rows that are its own.
func (r *Report) callCase(s *scene, p *Pair, strict bool, c *correlate.Summary, own func(*row) bool) xmlCase {
	worst, headline := diff.Same, ""
	for i := range s.rows {
		x := &s.rows[i]
		if !own(x) {
			continue
		}
		switch x.Verdict {
		case diff.Same, diff.Expected:
			continue
		case diff.Tolerated:
			if worst == diff.Same {
				worst = diff.Tolerated
			}
			continue
		default:
		}
		if worst != diff.Differs {
			worst, headline = diff.Differs, rowLine(x)
		}
		if s.first(i) {
			headline = p.Headline
		}
	}
	return oneCase(c, worst, strict, headline, tell(s, own))
}

// rowLine is a row in a sentence.
func rowLine(r *row) string {
	if len(r.Differences) > 0 {
		return r.Differences[0].Text
	}
	return r.one().label + " " + verdictWord(r.Verdict)
}

// tell lists the rows that differ, raw.
func tell(s *scene, own func(*row) bool) []string {
	var lines []string
	for i := range s.rows {
		r := &s.rows[i]
		if !own(r) || !telling(r.Verdict) {
			continue
		}
		if len(lines) == maxCaseRows {
			return append(lines, "more rows differ")
		}
		head := fmt.Sprintf("row %d %s: %s", i+1, r.one().label, verdictWord(r.Verdict))
		texts := make([]string, len(r.Differences))
		for j := range texts {
			texts[j] = r.Differences[j].Text
		}
		if len(texts) > 0 {
			head += ": " + strings.Join(texts, "; ")
		}
		lines = append(lines, head)
	}
	return lines
}

func oneCase(s *correlate.Summary, v diff.Verdict, strict bool, headline string, lines []string) xmlCase {
	c := xmlCase{Class: "sipscope.diff", Name: "requests that the first does not have", Time: seconds(0)}
	if s != nil {
		c.Name = strings.TrimSpace(fmt.Sprintf("call %d %s", s.Num, callName(s, " → ")))
	}
	c.Name = text.Clean(c.Name)
	for i := range lines {
		lines[i] = text.Clean(lines[i])
	}
	headline = text.Clean(headline)
	body := strings.Join(lines, "\n")
	switch {
	case v == diff.Same, v == diff.Expected:
		return c
	case v == diff.Tolerated && !strict:
		c.Out = body
		return c
	}
	c.Failure = &xmlFailure{Message: headline, Type: v.String(), Text: strings.TrimSpace(headline + "\n" + body)}
	return c
}
