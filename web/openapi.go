package web

import (
	_ "embed"
	"net/http"
)

// openAPI describes the API (OpenAPI 3.1).
//
//go:embed openapi.json
var openAPI []byte

// serveOpenAPI is GET /api/v1/openapi.json.
func (s *site) serveOpenAPI(w http.ResponseWriter, r *http.Request) error {
	(&document{body: openAPI, kind: jsonType}).send(w, r, http.StatusOK)
	return nil
}
