package command

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"go-loadbalancer/lb/balancer"
	"go-loadbalancer/lb/policy"
)

const (
	verifyPause      = time.Second     // from one round of questions to the next
	verifyAnswer     = 5 * time.Second // what one look-up, and one replica's answer, may take
	verifyAtOnce     = 32              // replicas asked at a time
	maxReplicas      = 1000
	maxStatusBytes   = 16 << 20
	reasonIsForGood  = "invalid" // of the reasons to refuse a policy, the one that no waiting mends
	maxMessagePrints = 2000      // bytes of a replica's diagnostics
)

type verifyCommand struct {
	Admin      []string      `required:"" sep:"none" placeholder:"URL" help:"Admin address of replicas, such as http://10.0.0.7:8080; several times for several. Each address of a host name is a replica of its own, so the name of a headless Service means every pod."`
	ExpectHash string        `placeholder:"HASH" xor:"expected" required:"" help:"The policy hash they are to serve, as lb validate prints it."`
	Policies   string        `placeholder:"DIR" xor:"expected" required:"" help:"Instead of the hash, the policy itself."`
	Replicas   int           `default:"1" placeholder:"N" help:"How many there are at least (default ${default})."`
	Timeout    time.Duration `default:"3m" placeholder:"TIME" help:"How long that may take (default ${default})."`
}

func (c *verifyCommand) Run(out streams) error {
	if c.Timeout <= 0 {
		return fmt.Errorf("%w: --timeout %v: more than 0s is wanted", errUsage, c.Timeout)
	}
	if c.Replicas < 1 || c.Replicas > maxReplicas {
		return fmt.Errorf("%w: --replicas %d: 1 to %d is wanted", errUsage, c.Replicas, maxReplicas)
	}
	v := verification{expected: strings.ToLower(c.ExpectHash), least: c.Replicas, out: out.stdout, resolve: resolveReplicas, ask: askReplica}
	for _, admin := range c.Admin {
		u, err := parseAdmin(admin)
		if err != nil {
			return fmt.Errorf("%w: --admin %q: %w", errUsage, admin, err)
		}
		v.admins = append(v.admins, u)
	}
	if c.Policies != "" {
		at, err := readPolicy(c.Policies)
		if err != nil {
			return fmt.Errorf("%w: --policies: %w", errUsage, err)
		}
		v.expected = at.files.Hash()
		if p, found := at.files.Load(); p == nil {
			return fmt.Errorf("--policies %s: no replica will serve it, since it is not valid: lb validate %s says why (%s)",
				c.Policies, c.Policies, count(found.Count(policy.SeverityError), "error"))
		}
	}
	if !isHash(v.expected) {
		return fmt.Errorf("%w: --expect-hash %q: 64 hexadecimal digits are wanted, as lb validate --output hash prints them", errUsage, c.ExpectHash)
	}
	ctx, cancel := context.WithTimeout(context.Background(), c.Timeout)
	defer cancel()
	return v.wait(ctx)
}

func isHash(s string) bool {
	return len(s) == 64 && strings.Trim(s, "0123456789abcdef") == ""
}

// parseAdmin reads the URL of an admin address; a path before the API's, as behind
// a proxy, is kept.
func parseAdmin(s string) (*url.URL, error) {
	u, err := url.Parse(s)
	switch {
	case err != nil:
		return nil, errors.Unwrap(err)
	case u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "":
		return nil, errors.New("a URL such as http://10.0.0.7:8080 is wanted")
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return nil, errors.New("a URL without user, query and fragment is wanted")
	}
	return u, nil
}

// replica is one process to be asked: a URL, and the address its host name stands for.
type replica struct {
	url     *url.URL
	address string // host:port to connect to
}

// verification waits until every replica serves a policy.
type verification struct {
	admins   []*url.URL
	expected string
	least    int // replicas that there must be
	out      io.Writer

	// The world, so that tests can be another one.
	resolve func(context.Context, *url.URL) ([]replica, error)
	ask     func(context.Context, replica) (balancer.PolicyStatus, error)

	told map[string]string // by replica or URL: what was last printed of it
}

// finding is what one round found out of a replica, or of a name.
type finding struct {
	of       string // its address, or the URL whose name has none
	says     string
	serves   bool // the policy that is expected
	hopeless bool // it has refused that policy, and will again
}

// wait asks round after round. It returns nil once in one round every replica
// served the policy; errSaid, all having been printed, if one has refused it or the
// context is done.
func (v *verification) wait(ctx context.Context) error {
	v.told = map[string]string{}
	for {
		found := v.round(ctx)
		serving := 0
		hopeless := false
		for _, f := range found {
			if f.serves {
				serving++
			}
			hopeless = hopeless || f.hopeless
		}
		over := ctx.Err() != nil
		if !over || len(v.told) == 0 { // else the round was cut, and says nothing new
			v.tell(found)
		}
		switch {
		case serving == len(found) && serving >= v.least && !over:
			_, err := fmt.Fprintf(v.out, "verified: %s, all of policy %s\n", count(serving, "replica"), v.expected)
			return err
		case hopeless:
			fmt.Fprintf(v.out, "not verified: policy %s was refused\n", v.expected)
			return errSaid
		case over:
			fmt.Fprintf(v.out, "not verified in time: policy %s: see above what each replica said last; %d wanted at least\n", v.expected, v.least)
			return errSaid
		}
		select {
		case <-ctx.Done():
		case <-time.After(verifyPause):
		}
	}
}

// round asks every replica once.
func (v *verification) round(ctx context.Context) []finding {
	var found []finding
	var replicas []replica
	for _, admin := range v.admins {
		within, cancel := context.WithTimeout(ctx, verifyAnswer)
		of, err := v.resolve(within, admin)
		cancel()
		if err != nil {
			found = append(found, finding{of: admin.String(), says: err.Error()})
		}
		replicas = append(replicas, of...)
	}
	// The same one by two names is one.
	slices.SortStableFunc(replicas, func(a, b replica) int { return cmp.Compare(a.address, b.address) })
	replicas = slices.CompactFunc(replicas, func(a, b replica) bool { return a.address == b.address })
	if n := len(replicas); n > maxReplicas {
		replicas = replicas[:maxReplicas]
		found = append(found, finding{of: "the rest", says: fmt.Sprintf("there are %d replicas, and at most %d are asked", n, maxReplicas)})
	}

	answers := make([]finding, len(replicas))
	places := make(chan struct{}, verifyAtOnce)
	var wg sync.WaitGroup
	for i, r := range replicas {
		places <- struct{}{}
		wg.Go(func() {
			defer func() { <-places }()
			within, cancel := context.WithTimeout(ctx, verifyAnswer)
			defer cancel()
			answers[i] = v.judge(within, r)
		})
	}
	wg.Wait()
	return append(found, answers...)
}

func (v *verification) judge(ctx context.Context, r replica) finding {
	p, err := v.ask(ctx, r)
	f := finding{of: r.address}
	switch {
	case err != nil:
		f.says = err.Error()
	case p.Hash == v.expected:
		f.serves = true
		f.says = fmt.Sprintf("serves it: policy %q, version %q", p.Name, p.Version)
	case p.LastError != nil && p.LastError.Hash == v.expected:
		f.hopeless = p.LastError.Reason == reasonIsForGood
		f.says = fmt.Sprintf("refused it (%s), and serves %s: %s", p.LastError.Reason, named(p), cut(p.LastError.Message))
	default:
		f.says = "serves " + named(p)
	}
	return f
}

func named(p balancer.PolicyStatus) string {
	if p.Hash == "" {
		return "no policy yet"
	}
	return fmt.Sprintf("policy %q, version %q, hash %s", p.Name, p.Version, p.Hash)
}

func cut(s string) string {
	if len(s) > maxMessagePrints {
		return s[:maxMessagePrints] + "…"
	}
	return s
}

// tell prints what is new.
func (v *verification) tell(found []finding) {
	for _, f := range found {
		if v.told[f.of] != f.says {
			v.told[f.of] = f.says
			fmt.Fprintf(v.out, "%s: %s\n", f.of, f.says)
		}
	}
	for of := range v.told {
		if !slices.ContainsFunc(found, func(f finding) bool { return f.of == of }) {
			delete(v.told, of)
			fmt.Fprintf(v.out, "%s: is gone\n", of)
		}
	}
}

// resolveReplicas finds the replicas that a URL stands for: as many as its host
// name has addresses. localhost is one, by whichever address answers.
func resolveReplicas(ctx context.Context, admin *url.URL) ([]replica, error) {
	port := admin.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[admin.Scheme]
	}
	host := admin.Hostname()
	if _, err := netip.ParseAddr(host); err == nil || strings.EqualFold(host, "localhost") {
		return []replica{{admin, net.JoinHostPort(host, port)}}, nil
	}
	ips, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return nil, err
	}
	replicas := make([]replica, len(ips))
	for i, ip := range ips {
		replicas[i] = replica{admin, net.JoinHostPort(ip.Unmap().String(), port)}
	}
	return replicas, nil
}

// askReplica asks one replica which policy it serves.
func askReplica(ctx context.Context, r replica) (balancer.PolicyStatus, error) {
	var status balancer.Status
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, r.url.JoinPath("api/v1/status").String(), nil)
	if err != nil {
		return status.Policy, err
	}
	// No proxy of the environment, and no other address of the name: this is about
	// one replica.
	var dialer net.Dialer
	transport := &http.Transport{
		DisableKeepAlives:      true,
		MaxResponseHeaderBytes: 64 << 10,
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return dialer.DialContext(ctx, network, r.address)
		},
	}
	answer, err := transport.RoundTrip(request)
	if err != nil {
		return status.Policy, err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return status.Policy, fmt.Errorf("GET %s answered %s: is this the admin address?", request.URL, answer.Status)
	}
	body, err := io.ReadAll(io.LimitReader(answer.Body, maxStatusBytes))
	if err != nil {
		return status.Policy, err
	}
	if err := json.Unmarshal(body, &status); err != nil {
		return status.Policy, fmt.Errorf("GET %s did not answer with a status: is this the admin address? %w", request.URL, err)
	}
	return status.Policy, nil
}
