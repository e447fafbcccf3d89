package web

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"testing"
)

// object is a JSON object.
type object = map[string]any

// TestOpenAPI walks all routes: each is described, and nothing is described that is not there.
func TestOpenAPI(t *testing.T) {
	t.Parallel()
	cfg := config(t, flows(t))
	cfg.Upload = func(context.Context, string, io.Reader) (*Data, error) { return nil, io.EOF }
	s := newServer(t, cfg)
	doc := decodeJSON[object](t, ask(s.Handler(), "GET", "/api/v1/openapi.json").Body.Bytes())
	paths, _ := doc["paths"].(object)
	var routes []string
	for _, rt := range s.routes() {
		if !strings.HasPrefix(rt.path, "/api/") {
			continue
		}
		routes = append(routes, rt.path)
		item, _ := paths[rt.path].(object)
		operation, _ := item[strings.ToLower(rt.method)].(object)
		if operation == nil || operation["summary"] == "" || operation["responses"] == nil || operation["operationId"] == nil {
			t.Errorf("%s %s is not described", rt.method, rt.path)
		}
	}
	for path := range paths {
		if !slices.Contains(routes, path) {
			t.Errorf("%s is described, but not there", path)
		}
	}
	refs := 0
	var walk func(v any)
	walk = func(v any) {
		switch v := v.(type) {
		case object:
			if ref, ok := v["$ref"].(string); ok {
				refs++
				if resolve(doc, v) == nil {
					t.Errorf("%s leads nowhere", ref)
				}
			}
			for _, w := range v {
				walk(w)
			}
		case []any:
			for _, w := range v {
				walk(w)
			}
		}
	}
	walk(doc)
	if refs < 20 {
		t.Errorf("%d references", refs)
	}
}

// resolve follows references within a document.
func resolve(doc, schema object) object {
	for range 10 {
		ref, ok := schema["$ref"].(string)
		if !ok {
			return schema
		}
		var at any = doc
		for name := range strings.SplitSeq(strings.TrimPrefix(ref, "#/"), "/") {
			o, _ := at.(object)
			at = o[name]
		}
		schema, _ = at.(object)
		if schema == nil {
			return nil
		}
	}
	return nil
}

// validate compares a value with its schema: types, required fields, and no field that is not described where all are.
func validate(doc, schema object, v any, at string) (wrong []string) {
	schema = resolve(doc, schema)
	if types := typesOf(schema); len(types) > 0 && !slices.Contains(types, typeOf(v)) &&
		(typeOf(v) != "integer" || !slices.Contains(types, "number")) {
		return []string{fmt.Sprintf("%s is %s, not %v", at, typeOf(v), types)}
	}
	switch v := v.(type) {
	case object:
		required, _ := schema["required"].([]any)
		for _, name := range required {
			if _, ok := v[name.(string)]; !ok {
				wrong = append(wrong, fmt.Sprintf("%s has no %s", at, name))
			}
		}
		properties, _ := schema["properties"].(object)
		for name, value := range v {
			if p, ok := properties[name].(object); ok {
				wrong = append(wrong, validate(doc, p, value, at+"."+name)...)
			} else if len(properties) > 0 && !strings.HasSuffix(name, "_raw_b64") {
				wrong = append(wrong, at+" has an undescribed "+name)
			}
		}
	case []any:
		items, _ := schema["items"].(object)
		for i, value := range v {
			if items != nil {
				wrong = append(wrong, validate(doc, items, value, fmt.Sprintf("%s[%d]", at, i))...)
			}
		}
	}
	return wrong
}

func typesOf(schema object) []string {
	switch v := schema["type"].(type) {
	case string:
		return []string{v}
	case []any:
		var all []string
		for _, s := range v {
			name, _ := s.(string)
			all = append(all, name)
		}
		return all
	}
	return nil
}

func typeOf(v any) string {
	switch v := v.(type) {
	case nil:
		return "null"
	case bool:
		return "boolean"
	case string:
		return "string"
	case float64:
		if v == float64(int64(v)) {
			return "integer"
		}
		return "number"
	case []any:
		return "array"
	default:
		return "object"
	}
}

// TestAnswersFitOpenAPI compares real answers and events with their schemas.
func TestAnswersFitOpenAPI(t *testing.T) {
	t.Parallel()
	trace, err := os.ReadFile(flowFile(t, "busy-486"))
	if err != nil {
		t.Fatal(err)
	}
	cfg := config(t, flows(t, "User-Agent"))
	cfg.Upload = (&uploader{}).open
	s := newServer(t, cfg)
	doc := decodeJSON[object](t, openAPI)
	schema := func(name string) object { return object{"$ref": "#/components/schemas/" + name} }
	check := func(name, what string, b []byte) {
		t.Helper()
		if len(b) == 0 {
			t.Errorf("%s: nothing", what)
			return
		}
		for _, wrong := range validate(doc, schema(name), decodeJSON[any](t, b), name) {
			t.Errorf("%s: %s", what, wrong)
		}
	}
	for target, name := range map[string]string{
		"/api/v1/calls": "List", "/api/v1/calls?filter=%28": "Problem", "/api/v1/calls/1": "Flow", "/api/v1/calls/3": "Flow",
		"/api/v1/calls/900": "Problem", "/api/v1/fields": "Fields", "/api/v1/calls?sort=x": "Problem",
	} {
		check(name, target, ask(s.Handler(), "GET", target).Body.Bytes())
	}
	check("Uploaded", "upload", send(s.Handler(), "/api/v1/upload", "", bytes.NewReader(trace)).Body.Bytes())

	f := newFeed(t)
	live := newServer(t, config(t, Data{Board: f.board}))
	base := serveTest(t, live)
	l := listen(t, base, "x")
	check("ReloadEvent", "reload", []byte(l.next("reload").data))
	f.push(invite(1))
	check("CallsEvent", "calls", []byte(l.next("calls").data))
	check("State", "state", []byte(l.next("state").data))
	var many []string
	for i := range fewChanged + 1 {
		many = append(many, invite(10+i))
	}
	f.push(many...)
	check("ManyEvent", "many", []byte(l.next("many").data))

	if wrong := validate(doc, schema("List"), object{"total": "x", "of": 1.0, "new": 1.0}, "List"); len(wrong) != 4 {
		t.Errorf("the check itself finds %q", wrong)
	}
}
