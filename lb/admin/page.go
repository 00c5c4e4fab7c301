package admin

import (
	"bytes"
	"embed"
	"html/template"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

//go:embed static
var static embed.FS

//go:embed page.html
var pageText string

// page is parsed when somebody looks at it.
var page = sync.OnceValue(func() *template.Template {
	return template.Must(template.New("page").Funcs(template.FuncMap{
		"upper":   strings.ToUpper,
		"short":   func(hash string) string { return hash[:min(12, len(hash))] },
		"counts":  counts,
		"percent": func(share float64) string { return strconv.FormatFloat(100*share, 'f', 1, 64) + " %" },
		"ms":      func(ms float64) string { return strconv.FormatFloat(ms, 'f', 2, 64) + " ms" },
		"utc":     func(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") },
	}).Parse(pageText))
})

func (s *Server) page(w http.ResponseWriter, _ *http.Request) {
	var out bytes.Buffer // whole, or an error: never half a page
	if err := page().Execute(&out, s.health()); err != nil {
		s.log.Error("status page", "error", err)
		http.Error(w, "the page could not be made: see the log", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Write(out.Bytes())
}

// counts is what was counted, by reason, in words.
func counts(by map[string]uint64) string {
	var words []string
	for _, reason := range slices.Sorted(maps.Keys(by)) {
		if n := by[reason]; n > 0 {
			words = append(words, strconv.FormatUint(n, 10)+" "+reason)
		}
	}
	if words == nil {
		return "none"
	}
	return strings.Join(words, ", ")
}
