package report

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"html/template"
	"io"
	"sync"
)

//go:embed page.html
var pageText string

//go:embed page.css
var pageStyle string

//go:embed page.js
var pageScript string

// page is parsed when one is written: most processes write none.
var page = sync.OnceValue(func() *template.Template { return template.Must(template.New("page").Parse(pageText)) })

// policy of the page's content: nothing is fetched from anywhere, and of what is in the
// page only this style and this script have an effect.
var policy = "default-src 'none'; style-src '" + hash(pageStyle) + "'; script-src '" + hash(pageScript) +
	"'; base-uri 'none'; form-action 'none'"

func hash(s string) string {
	sum := sha256.Sum256([]byte(s))
	return "sha256-" + base64.StdEncoding.EncodeToString(sum[:])
}

// document is what the template is given.
type document struct {
	Policy string
	Style  template.CSS
	Script template.JS
	Title  string
	Bad    bool
	Found  string
	Runs   []*section
}

// WriteHTML writes one page with all runs, which needs nothing else: it can be mailed,
// kept, printed, and read without a network.
func WriteHTML(w io.Writer, s *Suite) error {
	d := document{Policy: policy, Style: template.CSS(pageStyle), Script: template.JS(pageScript), Title: summary(s), Found: found(s), Bad: s.Found.HasErrors()}
	for i, r := range s.Runs {
		d.Bad = d.Bad || r.Verdict != Passed
		d.Runs = append(d.Runs, sectionOf(s, r, i+1))
	}
	var out bytes.Buffer // whole, or an error: never half a page
	if err := page().Execute(&out, d); err != nil {
		return err
	}
	_, err := w.Write(out.Bytes())
	return err
}
