package command

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"go-loadbalancer/lb/balancer"
	"go-loadbalancer/lb/explain"
)

type explainCommand struct {
	Request  []string      `arg:"" name:"url" help:"What is asked for, as a client has it: http://shop.example.com/cart. A method may go before it."`
	Admin    string        `placeholder:"URL" xor:"where" help:"Ask a balancer that runs, at its admin address, such as http://localhost:8080."`
	Policies string        `placeholder:"DIR" xor:"where" help:"Ask a policy: a directory, or a single file. Every endpoint counts as healthy (default policies)."`
	Method   string        `short:"X" placeholder:"METHOD" help:"Method (default GET)."`
	Header   []string      `short:"H" sep:"none" placeholder:"FIELD" help:"Header field, as 'Name: value'; may be given often."`
	Cookie   string        `placeholder:"COOKIE" help:"Cookie field: what a browser sends, such as lb_session=…; says where that session goes. With @FILE it is read from a file, which may be curl's cookie jar."`
	Client   string        `placeholder:"IP" help:"Address that the request comes from: for trusted proxies, rate limits and hashing."`
	JSON     bool          `name:"json" help:"Print JSON, of a form that is documented in docs/explain.md."`
	Timeout  time.Duration `default:"10s" placeholder:"TIME" help:"How long a balancer may take to answer (default ${default})."`
}

// maxCookie bounds a file with a cookie, in bytes.
const maxCookie = 16 << 10

// Run says what becomes of a request. Exit status: 0 it is forwarded or redirected, 1 it
// is refused, 2 it cannot be said: wrong usage, no such policy, no balancer.
func (c *explainCommand) Run(out streams) error {
	q := explain.Question{Method: c.Method, URL: c.Request[len(c.Request)-1], Client: c.Client}
	if len(c.Request) > 2 || len(c.Request) == 2 && c.Method != "" {
		return fmt.Errorf("%w: lb explain [METHOD] URL", errUsage)
	}
	if len(c.Request) == 2 {
		q.Method = c.Request[0]
	}
	for _, h := range c.Header {
		f, err := explain.ParseField(h)
		if err != nil {
			return fmt.Errorf("%w: -H: %w", errUsage, err)
		}
		q.Header = append(q.Header, f)
	}
	if c.Cookie != "" {
		cookie, err := c.cookie()
		if err != nil {
			return fmt.Errorf("%w: --cookie: %w", errUsage, err)
		}
		q.Header = append(q.Header, explain.Field{Name: "Cookie", Value: cookie})
	}
	asked, err := q.Parse()
	if err != nil {
		return fmt.Errorf("%w: %w", errUsage, err)
	}
	var d *explain.Decision
	if c.Admin != "" {
		d, err = c.ask(&q)
	} else {
		d, err = c.read(out, asked)
	}
	if err != nil {
		return err
	}
	if c.JSON {
		e := json.NewEncoder(out.stdout)
		e.SetEscapeHTML(false)
		e.SetIndent("", "  ")
		err = e.Encode(d)
	} else {
		err = d.WriteText(out.stdout)
	}
	switch {
	case err != nil:
		return fmt.Errorf("%w: %w", errUsage, err)
	case !d.Outcome.Good():
		return errSaid
	}
	return nil
}

func (c *explainCommand) cookie() (string, error) {
	name, isFile := strings.CutPrefix(c.Cookie, "@")
	if !isFile {
		if !strings.Contains(c.Cookie, "=") {
			return "", fmt.Errorf("%q is no cookie, which is written name=value; a file of one is given as @%s", c.Cookie, c.Cookie)
		}
		return c.Cookie, nil
	}
	f, err := os.Open(name)
	if err != nil {
		return "", err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxCookie))
	if err != nil {
		return "", err
	}
	cookie := strings.TrimSpace(string(text))
	if jar := cookiesOf(cookie); jar != "" {
		cookie = jar
	}
	if !strings.Contains(cookie, "=") {
		return "", fmt.Errorf("%s: neither a cookie, written name=value, nor a cookie jar of curl with one in it", name)
	}
	return cookie, nil
}

// cookiesOf returns the cookies of a jar as curl keeps it, of every host; empty if it is
// none. A line is a cookie in seven fields, the last ones its name and value
// (https://curl.se/docs/http-cookies.html).
func cookiesOf(jar string) string {
	var all []string
	for line := range strings.Lines(jar) {
		line = strings.TrimPrefix(strings.TrimRight(line, "\r\n"), "#HttpOnly_")
		if f := strings.Split(line, "\t"); len(f) == 7 && !strings.HasPrefix(line, "#") {
			all = append(all, f[5]+"="+f[6])
		}
	}
	return strings.Join(all, "; ")
}

// read asks a policy.
func (c *explainCommand) read(out streams, asked *explain.Asked) (*explain.Decision, error) {
	path := c.Policies
	if path == "" {
		path = "policies"
	}
	at, err := readPolicy(path)
	if err != nil {
		return nil, fmt.Errorf("%w: %w; give a policy by --policies, or a balancer by --admin", errUsage, err)
	}
	p, found := at.files.Load()
	if p == nil {
		for _, d := range at.named(found) {
			if d.Pos.File == "" {
				fmt.Fprintf(out.stderr, "%s: ", at.dir)
			}
			fmt.Fprintln(out.stderr, d)
		}
		return nil, errTrouble
	}
	d, err := balancer.ExplainPolicy(p, asked)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errUsage, err)
	}
	return d, nil
}

// ask asks a balancer.
func (c *explainCommand) ask(q *explain.Question) (*explain.Decision, error) {
	base := c.Admin
	if !strings.Contains(base, "://") {
		base = "http://" + base
	}
	u, err := url.Parse(base)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, fmt.Errorf("%w: --admin %q: one such as http://localhost:8080 is wanted", errUsage, c.Admin)
	}
	u = u.JoinPath("api", "v1", "explain")
	form := q.Values()
	ctx, cancel := context.WithTimeout(context.Background(), c.Timeout)
	defer cancel()
	// In a body, so that a ticket is in no log of URLs.
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, u.String(), strings.NewReader(form.Encode()))
	if err != nil {
		return nil, fmt.Errorf("%w: --admin %q: %w", errUsage, c.Admin, err)
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	answer, err := http.DefaultTransport.RoundTrip(request)
	if err != nil {
		return nil, fmt.Errorf("%w: nobody answers at --admin: %w; is lb running, and that its admin address?", errUsage, err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(io.LimitReader(answer.Body, maxDecision))
	if err != nil {
		return nil, fmt.Errorf("%w: --admin %s: %w", errUsage, c.Admin, err)
	}
	if answer.StatusCode != http.StatusOK {
		var said struct{ Error string }
		if json.Unmarshal(body, &said) != nil || said.Error == "" {
			said.Error = "is that the admin address of lb?"
		}
		return nil, fmt.Errorf("%w: %s answered %s: %s", errUsage, u, answer.Status, said.Error)
	}
	d := new(explain.Decision)
	if err := json.Unmarshal(body, d); err != nil {
		return nil, fmt.Errorf("%w: what %s answered is no decision: %w", errUsage, u, err)
	}
	return d, nil
}

// maxDecision bounds what is read of a balancer, in bytes.
const maxDecision = 64 << 20
