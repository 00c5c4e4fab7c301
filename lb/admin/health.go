package admin

import (
	"fmt"
	"log/slog"
	"mime"
	"strconv"
	"strings"
	"time"

	"go-loadbalancer/lb/balancer"
	"go-loadbalancer/lb/telemetry"
)

// Health is the structured form of /metrics: what a program other than
// Prometheus wants to know, in one document.
type Health struct {
	Condition Condition       `json:"status"`
	Why       []string        `json:"why"` // what is not as it should be; empty if the status is ok
	Time      time.Time       `json:"time"`
	Build     telemetry.Build `json:"build"`

	Policy    balancer.PolicyStatus     `json:"policy"`
	Sessions  balancer.SessionsStatus   `json:"sessions"`
	Listeners []balancer.ListenerStatus `json:"listeners"`
	Pools     []balancer.PoolStatus     `json:"pools"`
	Totals    telemetry.Totals          `json:"totals"`
}

// Condition sums a balancer up.
type Condition string

const (
	OK       Condition = "ok"
	Degraded Condition = "degraded"  // it serves, but not by the newest policy, or not with every endpoint
	NotReady Condition = "not ready" // as /readyz says
)

func (s *Server) health() Health {
	status := s.status()
	condition, why := judge(status, s.options.Balancer.Ready())
	return Health{
		Condition: condition,
		Why:       why,
		Time:      time.Now().UTC().Truncate(time.Millisecond),
		Build:     s.options.Build,
		Policy:    status.Policy,
		Sessions:  status.Sessions,
		Listeners: status.Listeners,
		Pools:     status.Pools,
		Totals:    s.options.Metrics.Totals(),
	}
}

// status is the balancer's, with empty lists and maps where it has none.
func (s *Server) status() balancer.Status { return normal(s.options.Balancer.Status()) }

func normal(status balancer.Status) balancer.Status {
	if status.Sessions.Moved == nil {
		status.Sessions.Moved = map[string]uint64{}
	}
	if status.Sessions.Refused == nil {
		status.Sessions.Refused = map[string]uint64{}
	}
	if status.Listeners == nil {
		status.Listeners = []balancer.ListenerStatus{}
	}
	if status.Pools == nil {
		status.Pools = []balancer.PoolStatus{}
	}
	if status.Routes == nil {
		status.Routes = []balancer.RouteStatus{}
	}
	for i := range status.Pools {
		if status.Pools[i].Endpoints == nil {
			status.Pools[i].Endpoints = []balancer.EndpointStatus{}
		}
	}
	return status
}

func judge(status balancer.Status, ready bool) (Condition, []string) {
	why := []string{}
	switch {
	case status.Policy.LastGood:
		why = append(why, "the last good policy serves, restored from the state directory")
	case status.Policy.LastError != nil:
		why = append(why, "the newest policy was refused ("+status.Policy.LastError.Reason+")")
	}
	if status.Sessions.State == "away" {
		away := "the session store is away"
		if reason := status.Sessions.Reason; reason != "" {
			away += ": " + reason
		}
		why = append(why, away)
	}
	for _, p := range status.Pools {
		if p.Panic {
			why = append(why, "pool "+p.Name+" is in panic mode")
		}
		wanted, eligible, removed := 0, 0, 0
		for _, e := range p.Endpoints {
			if isRemoved(e) {
				removed++
			}
			if e.Draining {
				continue
			}
			wanted++
			if e.Eligible {
				eligible++
			}
		}
		switch {
		case wanted == 0 && removed > 0 && removed == len(p.Endpoints): // the pool itself was
		case wanted == 0:
			why = append(why, "pool "+p.Name+" has no endpoint that takes requests: all drain, or no address of its names is known")
		case eligible < wanted:
			why = append(why, fmt.Sprintf("pool %s: %d of %d endpoints are eligible", p.Name, eligible, wanted))
		}
	}
	if !ready {
		return NotReady, append([]string{notReady(status)}, why...)
	}
	if len(why) > 0 {
		return Degraded, why
	}
	return OK, why
}

// notReady says why /readyz does not answer 200.
func notReady(status balancer.Status) string {
	if status.Policy.Hash == "" {
		return "no policy is loaded"
	}
	return "draining"
}

// prefersJSON says whether an Accept field (RFC 9110 section 12.5.1) names
// application/json, and no text format above it.
func prefersJSON(accept []string) bool {
	json, text := 0.0, 0.0
	for media := range strings.SplitSeq(strings.Join(accept, ","), ",") {
		kind, params, err := mime.ParseMediaType(media)
		if err != nil {
			continue
		}
		q := 1.0
		if given, ok := params["q"]; ok {
			if q, err = strconv.ParseFloat(given, 64); err != nil {
				continue
			}
		}
		switch kind {
		case "application/json":
			json = max(json, q)
		case "text/plain", "application/openmetrics-text":
			text = max(text, q)
		}
	}
	return json > 0 && json >= text
}

// scrapeErrors tells the log what went wrong in a scrape.
type scrapeErrors struct{ log *slog.Logger }

func (s scrapeErrors) Println(v ...any) {
	s.log.Error("metrics: " + strings.TrimSuffix(fmt.Sprintln(v...), "\n"))
}
