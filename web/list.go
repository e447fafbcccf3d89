package web

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"sipscope/correlate"
	"sipscope/correlate/query"
	"sipscope/render/columns"
	"sipscope/render/export"
	"sipscope/render/save"
)

// Pages of the list.
const (
	defaultLimit = 100
	maxLimit     = 1000
)

// listKey names a page of a list.
type listKey struct {
	orderKey

	offset, limit int
}

// parameters reads the query of a request. What net/url cannot read is an error, not left out.
func parameters(r *http.Request) (url.Values, error) {
	values, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, wrong(http.StatusBadRequest, "the query of the address cannot be read", "")
	}
	return values, nil
}

// orderOf reads filter, sort and order.
func (s *site) orderOf(values url.Values) (orderKey, error) {
	q, err := compile(values.Get("filter"))
	if err != nil {
		return orderKey{}, err
	}
	key := orderKey{filter: q.String()}
	by, descending := strings.CutPrefix(values.Get("sort"), "-")
	if key.sort, err = s.sortName(by); err != nil {
		return orderKey{}, wrong(http.StatusBadRequest, "sort: "+err.Error(), "sort by one of "+strings.Join(s.sorts(), ", "))
	}
	switch values.Get("order") {
	case "":
		key.descending = descending
	case "asc":
	case "desc":
		key.descending = true
	default:
		return orderKey{}, wrong(http.StatusBadRequest, "order is asc or desc", "")
	}
	return key, nil
}

// number reads a parameter from 0 to most.
func number(values url.Values, name string, missing, most int) (int, error) {
	text := values.Get(name)
	if text == "" {
		return missing, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 || n > most {
		return 0, wrong(http.StatusBadRequest, fmt.Sprintf("%s is a number from 0 to %d", name, most), "")
	}
	return n, nil
}

// maxOffset is more calls than a board can keep.
const maxOffset = 1<<31 - 1

// serveList is GET /api/v1/calls.
func (s *site) serveList(w http.ResponseWriter, r *http.Request) error {
	values, err := parameters(r)
	if err != nil {
		return err
	}
	var key listKey
	if key.orderKey, err = s.orderOf(values); err != nil {
		return err
	}
	if key.offset, err = number(values, "offset", 0, maxOffset); err != nil {
		return err
	}
	if key.limit, err = number(values, "limit", defaultLimit, maxLimit); err != nil {
		return err
	}
	d, err := s.lists.get(r.Context(), key)
	if err != nil {
		return err
	}
	d.send(w, r, http.StatusOK)
	return nil
}

// makeList writes a page of a list.
func (s *site) makeList(ctx context.Context, key listKey) (*document, error) {
	nums, of, err := s.ordered(ctx, key.orderKey)
	if err != nil {
		return nil, err
	}
	page := s.summaries(window(&key.orderKey, nums, key.offset, key.limit))
	for i := range page {
		s.saw(page[i].Rev)
	}
	b := make([]byte, 0, 128+1024*len(page))
	b = fmt.Appendf(b, `{"total":%d,"of":%d,"revision":%d,"calls":`, len(nums), of, s.rev.Load())
	b = appendSummaries(b, page, s.data.Headers)
	return &document{body: append(b, '}', '\n'), kind: jsonType}, nil
}

// summaries copies the newest state of calls, a bounded copy at a time.
func (s *site) summaries(nums []uint32) []correlate.Summary {
	const chunk = 256
	page := make([]correlate.Summary, 0, len(nums))
	for some := range slices.Chunk(nums, chunk) {
		page = s.data.Board.Summaries(some, page)
	}
	return page
}

// appendSummaries appends summaries as a JSON array.
func appendSummaries(b []byte, calls []correlate.Summary, headers []string) []byte {
	b = append(b, '[')
	for i := range calls {
		if i > 0 {
			b = append(b, ',')
		}
		b = export.AppendSummaryJSON(b, &calls[i], headers)
	}
	return append(b, ']')
}

// sorts lists what a list can be sorted by.
func (s *site) sorts() []string {
	var names []string
	for _, c := range columns.All() {
		names = append(names, c.Name)
	}
	for _, h := range s.data.Headers {
		names = append(names, columns.HeaderPrefix+strings.ToLower(h))
	}
	return names
}

// fieldJSON is a name of the filter language, for completion.
type fieldJSON struct {
	Name    string   `json:"name"`
	Aliases []string `json:"aliases"`
	Type    string   `json:"type"`
	Text    string   `json:"text"`
	Example string   `json:"example"`
	Values  []string `json:"values"` // of a field that has few, else empty
}

// fieldsJSON is what a reader can ask for.
type fieldsJSON struct {
	Fields  []fieldJSON  `json:"fields"`
	Sorts   []string     `json:"sorts"`
	Formats []formatJSON `json:"formats"` // of downloads
	Help    string       `json:"help"`
}

type formatJSON struct {
	Name  string `json:"name"`
	About string `json:"about"`
}

// serveFields is GET /api/v1/fields.
func (s *site) serveFields(w http.ResponseWriter, r *http.Request) error {
	out := fieldsJSON{Sorts: s.sorts(), Help: query.Help()}
	for _, f := range query.Fields() {
		out.Fields = append(out.Fields, fieldJSON{
			Name: f.Name, Aliases: append([]string{}, f.Aliases...), Type: f.Type, Text: f.Text, Example: f.Example,
			Values: s.values(f.Name),
		})
	}
	for _, f := range save.Formats() {
		out.Formats = append(out.Formats, formatJSON{Name: f.String(), About: f.About()})
	}
	if s.data.Report != nil {
		out.Formats = append(out.Formats, formatJSON{Name: reportFormat, About: "a page with all of it, that needs no network"})
	}
	return sendJSON(w, r, http.StatusOK, &out)
}

// values lists the values of a field that has few.
func (s *site) values(field string) []string {
	values := []string{}
	switch field {
	case "state":
		for _, state := range correlate.States() {
			values = append(values, state.String())
		}
	case "method":
		for method := range s.data.Board.Totals().Transactions {
			values = append(values, method)
		}
		slices.Sort(values)
	case "relation":
		values = append(values, correlate.Relations()...)
	case "ended_by":
		values = append(values, correlate.Caller.String(), correlate.Callee.String(), correlate.Network.String())
	}
	return values
}

// sendJSON answers with a value as JSON.
func sendJSON(w http.ResponseWriter, r *http.Request, status int, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	(&document{body: append(export.Shown(b), '\n'), kind: jsonType}).send(w, r, status)
	return nil
}
