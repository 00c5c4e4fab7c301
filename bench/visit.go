package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// visit begins so many sessions at every process that keeps some, and returns the
// Cookie fields by which they go on: each has a session of each of them, so that all
// get the same requests. Where several set a cookie of the same name, that of the first
// is kept: balancers with the same keys know each other's.
func (b *bench) visit(ctx context.Context, processes []*process, sessions int) ([]string, error) {
	if sessions == 0 {
		return nil, nil
	}
	fields := make([]string, sessions)
	taken := map[string]bool{}
	for _, p := range processes {
		if p == nil || p.candidate.sessions == "" {
			continue
		}
		var name string
		for i := range fields {
			cookie, err := p.newSession(ctx)
			if err != nil {
				return nil, fmt.Errorf("%s: a new session: %w", p.candidate.name, err)
			}
			if name = cookie.Name; taken[name] {
				break
			}
			if fields[i] != "" {
				fields[i] += "; "
			}
			fields[i] += name + "=" + cookie.Value
		}
		taken[name] = true
	}
	return fields, nil
}

// visitor makes the requests that are not measured.
var visitor = http.Client{Timeout: 5 * time.Second}

// newSession makes a request that belongs to no session, and returns the cookie that
// the answer sets.
func (p *process) newSession(ctx context.Context) (*http.Cookie, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+p.instance.Listen+"/small", nil)
	if err != nil {
		return nil, err
	}
	response, err := visitor.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	if _, err := io.Copy(io.Discard, response.Body); err != nil {
		return nil, err
	}
	cookies := response.Cookies()
	if len(cookies) != 1 {
		return nil, fmt.Errorf("%s, and %d cookies: %s", response.Status, len(cookies), strings.Join(response.Header["Set-Cookie"], ", "))
	}
	return cookies[0], nil
}

// storeAnswers says whether the store of the sessions of a running balancer is not
// away, as that sees it.
func (p *process) storeAnswers(ctx context.Context) error {
	var status struct {
		Sessions struct{ State, Reason string }
	}
	if err := call(ctx, &visitor, http.MethodGet, "http://"+p.instance.Admin+"/api/v1/status", &status); err != nil {
		return err
	}
	if s := status.Sessions; s.State != "ok" {
		return fmt.Errorf("the store of sessions is %s: %s", s.State, s.Reason)
	}
	return nil
}
