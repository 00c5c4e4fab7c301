package admin

import (
	"bytes"
	"embed"
	"html/template"
	"net/http"
	"strings"
	"time"
)

//go:embed static
var static embed.FS

//go:embed page.html
var pageText string

var page = template.Must(template.New("page").Funcs(template.FuncMap{
	"upper": strings.ToUpper,
	"short": func(hash string) string { return hash[:min(12, len(hash))] },
	"utc":   func(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") },
}).Parse(pageText))

func (s *Server) page(w http.ResponseWriter, _ *http.Request) {
	var out bytes.Buffer // whole, or an error: never half a page
	if err := page.Execute(&out, s.health()); err != nil {
		s.log.Error("status page", "error", err)
		http.Error(w, "the page could not be made: see the log", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Write(out.Bytes())
}
