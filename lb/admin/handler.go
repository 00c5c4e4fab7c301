package admin

import (
	"compress/gzip"
	"context"
	"encoding/json"
	"net/http"

	"github.com/klauspost/compress/gzhttp"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"go-loadbalancer/lb/balancer"
	"go-loadbalancer/lb/reload"
)

func (s *Server) handler() http.Handler {
	mux := http.NewServeMux() // answers 404, and 405 with Allow, by itself
	mux.HandleFunc("GET /{$}", s.page)
	mux.Handle("GET /static/{file}", http.FileServerFS(static))
	mux.HandleFunc("GET /api/v1/events", s.seats.streams(s.stream.serve))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { text(w, http.StatusOK, "ok\n") })
	mux.HandleFunc("GET /readyz", s.readyz)
	mux.HandleFunc("GET /metrics", s.metrics())
	mux.HandleFunc("GET /api/v1/status", func(w http.ResponseWriter, _ *http.Request) {
		respond(w, http.StatusOK, Status{s.status(), s.options.Metrics.Totals().ResponseFlags})
	})
	if s.options.Feed != nil {
		mux.HandleFunc("GET /api/v1/tail", s.seats.streams(s.tail))
	}
	mux.HandleFunc("GET /api/v1/explain", s.explain)
	mux.HandleFunc("POST /api/v1/explain", s.explain)
	mux.HandleFunc("POST /-/reload", s.reload)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Cache-Control", "no-store")
		h.Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; "+
			"require-trusted-types-for 'script'; trusted-types 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("X-Content-Type-Options", "nosniff")
		most := int64(maxBodyBytes)
		if r.URL.Path == "/api/v1/explain" {
			most = maxQuestion
		}
		r.Body = http.MaxBytesReader(w, r.Body, most)
		mux.ServeHTTP(w, r)
	})
}

// Status is the answer to GET /api/v1/status.
type Status struct {
	balancer.Status
	// ResponseFlags counts the requests since the process started by each flag that any
	// had: see docs/telemetry.md.
	ResponseFlags map[string]uint64 `json:"responseFlags"`
}

func (s *Server) readyz(w http.ResponseWriter, _ *http.Request) {
	if s.options.Balancer.Ready() {
		text(w, http.StatusOK, "ready\n")
		return
	}
	text(w, http.StatusServiceUnavailable, "not ready: "+notReady(s.options.Balancer.Status())+"\n")
}

func (s *Server) metrics() http.HandlerFunc {
	prom := promhttp.HandlerFor(s.options.Metrics, promhttp.HandlerOpts{
		// One metric gone wrong must not hide the others.
		ErrorHandling:       promhttp.ContinueOnError,
		ErrorLog:            scrapeErrors{s.log},
		Registry:            s.options.Metrics.Registry(),
		MaxRequestsInFlight: 4,
		DisableCompression:  true, // see compressed
		EnableOpenMetrics:   true,
	})
	prom = http.TimeoutHandler(compressed(prom), readTimeout, "the metrics took too long\n")
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Add("Vary", "Accept")
		if prefersJSON(r.Header.Values("Accept")) {
			respond(w, http.StatusOK, s.health())
			return
		}
		prom.ServeHTTP(w, r)
	}
}

// compressed has answers compressed for who accepts gzip, as every scraper does, by the
// quickest level: what is gained by others is little, and they take longer than
// everything else about a scrape.
func compressed(h http.Handler) http.Handler {
	wrap, err := gzhttp.NewWrapper(gzhttp.CompressionLevel(gzip.BestSpeed))
	if err != nil {
		panic(err) // of a level that is none
	}
	return wrap(h)
}

// Reload is the answer to POST /-/reload.
type Reload struct {
	// Outcome is unchanged or committed, with status 200; rejected, with 422; or
	// canceled, with 503, if another reload took too long to wait for.
	Outcome reload.Outcome `json:"outcome"`
	// Hash is of the policy the source holds; empty if it could not be read.
	Hash string `json:"hash"`
	// Error is why the policy was rejected, every diagnostic included; null if
	// it was not.
	Error *string `json:"error"`
}

func (s *Server) reload(w http.ResponseWriter, r *http.Request) {
	if status, why := s.refuse(r); status != 0 {
		if status == http.StatusUnauthorized {
			w.Header().Set("WWW-Authenticate", `Bearer realm="admin"`)
		}
		respond(w, status, struct {
			Error string `json:"error"`
		}{why})
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), reloadTimeout)
	defer cancel()
	result := s.options.Balancer.Reload(ctx)
	answer := Reload{Outcome: result.Outcome, Hash: result.Hash}
	if result.Err != nil {
		message := result.Err.Error()
		answer.Error = &message
	}
	status := http.StatusOK
	switch result.Outcome {
	case reload.Rejected:
		status = http.StatusUnprocessableEntity
	case reload.Canceled:
		status = http.StatusServiceUnavailable
	}
	respond(w, status, answer)
}

func text(w http.ResponseWriter, status int, body string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	w.Write([]byte(body))
}

func respond(w http.ResponseWriter, status int, v any) {
	body, err := json.MarshalIndent(v, "", "  ")
	if err != nil { // of our own types: none of them can fail
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	w.Write(append(body, '\n'))
}
