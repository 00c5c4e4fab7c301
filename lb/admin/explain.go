package admin

import (
	"errors"
	"mime"
	"net/http"
	"net/url"

	"go-loadbalancer/lb/explain"
)

const (
	// maxQuestion bounds a question that is posted, in bytes: a head, written as a form.
	maxQuestion = 3 * explain.MaxHead
	// maxExplaining is how many are answered at a time: one takes about a millisecond, and
	// up to a tenth of a second where pools are large.
	maxExplaining = 4
)

// explain answers GET /api/v1/explain?method=&url=&client=&header=…, and POST with the same
// as a form: then what a client's session is known by is in no log of URLs.
func (s *Server) explain(w http.ResponseWriter, r *http.Request) {
	refuse := func(status int, why string) {
		respond(w, status, struct {
			Error string `json:"error"`
		}{why})
	}
	select {
	case s.explaining <- struct{}{}:
		defer func() { <-s.explaining }()
	default:
		w.Header().Set("Retry-After", "1")
		refuse(http.StatusServiceUnavailable, "as many questions are being answered as may be: ask again in a second")
		return
	}
	values, err := url.ParseQuery(r.URL.RawQuery)
	if r.Method == http.MethodPost {
		kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
		if kind != "application/x-www-form-urlencoded" || r.URL.RawQuery != "" {
			refuse(http.StatusUnsupportedMediaType, "post the question as a form, application/x-www-form-urlencoded, and nothing in the URL")
			return
		}
		if err = r.ParseForm(); err == nil {
			values = r.PostForm
		}
	}
	var large *http.MaxBytesError
	if errors.As(err, &large) {
		refuse(http.StatusRequestEntityTooLarge, "the question is too long")
		return
	}
	var asked *explain.Asked
	if err == nil {
		var q *explain.Question
		if q, err = explain.FromValues(values); err == nil {
			asked, err = q.Parse()
		}
	}
	if err != nil {
		refuse(http.StatusBadRequest, err.Error())
		return
	}
	d, err := s.options.Balancer.Explain(r.Context(), asked)
	if err != nil {
		refuse(http.StatusServiceUnavailable, err.Error())
		return
	}
	respond(w, http.StatusOK, d)
}
