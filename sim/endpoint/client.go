package endpoint

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"

	"go-loadbalancer/sim/scenario"
)

// Client tells an endpoint's process what to do. Each method needs a context that ends.
type Client struct {
	base string
	http http.Client
}

// NewClient is for the one whose control address is given. Close it.
func NewClient(address string) *Client {
	return &Client{base: "http://" + address, http: http.Client{Transport: &http.Transport{}}}
}

// Close lets go of what connections there are.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// State is what the process is like now.
func (c *Client) State(ctx context.Context) (s State, err error) {
	return s, c.ask(ctx, http.MethodGet, "/state", nil, &s)
}

// Begin has something be wrong, as [go-loadbalancer/sim/model.Endpoint.Begin] says.
func (c *Client) Begin(ctx context.Context, f *scenario.Fault) (id int, err error) {
	return id, c.ask(ctx, http.MethodPost, "/faults", f, &id)
}

// End ends it, and says how many requests it touched.
func (c *Client) End(ctx context.Context, id int) (touched int, err error) {
	return touched, c.ask(ctx, http.MethodDelete, "/faults/"+strconv.Itoa(id), nil, &touched)
}

// Touched is how many requests it has touched so far.
func (c *Client) Touched(ctx context.Context, id int) (touched int, err error) {
	return touched, c.ask(ctx, http.MethodGet, "/faults/"+strconv.Itoa(id), nil, &touched)
}

// Refuse has it refuse connections, or no longer.
func (c *Client) Refuse(ctx context.Context, is bool) error {
	method := http.MethodDelete
	if is {
		method = http.MethodPut
	}
	return c.ask(ctx, method, "/refuse", nil, nil)
}

// Crash ends the endpoint as a process that is killed, but for this one. What was to be
// wrong is forgotten; Refuse(ctx, false) begins another.
func (c *Client) Crash(ctx context.Context) error {
	return c.ask(ctx, http.MethodPost, "/crash", nil, nil)
}

func (c *Client) ask(ctx context.Context, method, path string, in, out any) error {
	var body io.Reader
	if in != nil {
		text, err := json.Marshal(in)
		if err != nil {
			return err
		}
		body = bytes.NewReader(text)
	}
	r, err := http.NewRequestWithContext(ctx, method, c.base+path, body)
	if err != nil {
		return err
	}
	resp, err := c.http.Do(r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxFault))
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s %s: %s: %s", method, path, resp.Status, strings.TrimSpace(string(text)))
	}
	if out == nil {
		return nil
	}
	return json.Unmarshal(text, out)
}

// Visits tells of the visits as they are told, until the process ends, which is no error,
// or ctx does. Started is called once it is known that nothing will be missed.
func (c *Client) Visits(ctx context.Context, started func(), see func(Visit)) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, c.base+"/visits", nil)
	if err != nil {
		return err
	}
	resp, err := c.http.Do(r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("GET /visits: %s", resp.Status)
	}
	started()
	lines := bufio.NewScanner(resp.Body)
	for lines.Scan() {
		if len(lines.Bytes()) == 0 {
			continue
		}
		var v Visit
		if err := json.Unmarshal(lines.Bytes(), &v); err != nil {
			return err
		}
		see(v)
	}
	return lines.Err()
}
