package command

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"time"
)

type healthcheckCommand struct {
	Admin   string        `default:":8080" placeholder:"ADDR" help:"Admin address, as lb run has it (default ${default})."`
	Timeout time.Duration `default:"3s" placeholder:"TIME" help:"How long the answer may take (default ${default})."`
}

func (c *healthcheckCommand) Run(streams) error {
	host, port, err := net.SplitHostPort(c.Admin)
	if err != nil {
		return fmt.Errorf("%w: --admin %q: host:port or :port is wanted", errUsage, c.Admin)
	}
	// What listens on every address is asked on this machine's own.
	if host == "" {
		host = "127.0.0.1"
	} else if ip, err := netip.ParseAddr(host); err == nil && ip.IsUnspecified() {
		host = "127.0.0.1"
		if ip.Is6() {
			host = "::1"
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), c.Timeout)
	defer cancel()
	url := "http://" + net.JoinHostPort(host, port) + "/healthz"
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return fmt.Errorf("%w: --admin %q: %w", errUsage, c.Admin, err)
	}
	// No proxy of the environment: this is about one machine.
	transport := &http.Transport{DisableKeepAlives: true}
	answer, err := transport.RoundTrip(request)
	if err != nil {
		return fmt.Errorf("not alive: GET %s: %w", url, err)
	}
	answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("not alive: GET %s answered %s", url, answer.Status)
	}
	return nil
}
