package backend

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"time"
)

// ControlPath is where faults are set over HTTP: PUT replaces them, GET shows
// those in force, DELETE clears them.
const ControlPath = "/_fault"

const maxControlBody = 64 << 10

// control answers requests about faults. It is never subject to them.
func (b *Backend) control(w http.ResponseWriter, r *http.Request) {
	// Through a balancer it would be some backend or other that is changed.
	if r.Header.Get("Via") != "" || r.Header.Get("X-Forwarded-For") != "" {
		http.Error(w, "this came through a proxy: set faults at the backend's own address", http.StatusForbidden)
		return
	}
	switch r.Method {
	case http.MethodGet, http.MethodHead:
	case http.MethodDelete:
		b.SetFaults(Faults{}) // the zero value is always valid
	case http.MethodPut:
		rc := http.NewResponseController(w)
		rc.SetReadDeadline(time.Now().Add(progressTimeout))
		text, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxControlBody))
		rc.SetReadDeadline(time.Time{})
		if err != nil {
			status := http.StatusBadRequest
			if big := (*http.MaxBytesError)(nil); errors.As(err, &big) {
				status = http.StatusRequestEntityTooLarge
			}
			http.Error(w, "the faults could not be read: "+err.Error(), status)
			return
		}
		f, err := ParseFaults(text)
		if err == nil {
			err = b.SetFaults(f)
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
	default:
		w.Header().Set("Allow", "GET, HEAD, PUT, DELETE")
		http.Error(w, "GET shows the faults, PUT sets them, DELETE clears them", http.StatusMethodNotAllowed)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	json.NewEncoder(w).Encode(b.Faults())
}
