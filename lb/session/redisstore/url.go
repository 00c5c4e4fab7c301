package redisstore

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
)

// place is where Redis is, and who we are there.
type place struct {
	form           string // one of the keys of forms
	addrs          []string
	user, password string
	db             int
	tls            *tls.Config // nil: without

	master                         string // as the sentinels call it
	sentinelUser, sentinelPassword string
}

const (
	formSingle   = ""
	formUnix     = "unix"
	formSentinel = "sentinel"
	formCluster  = "cluster"
)

// forms are the options each form of URL can have, beside tlsOptions.
var forms = map[string][]string{
	formSingle:   nil,
	formUnix:     {"db"},
	formSentinel: {"master", "sentinel_username", "sentinel_password"},
	formCluster:  nil,
}

var tlsOptions = []string{"ca_file", "cert_file", "key_file", "server_name"}

// maxHosts bounds the hosts a URL names.
const maxHosts = 32

// parse reads a URL. go-redis has parsers of its own: they name one host before
// the options and the others in them, let sessions wait for a minute, and repeat
// the URL with the password in their errors. The errors here repeat nothing of it:
// what stands in the wrong place may be a piece of the password.
func parse(text string) (p place, err error) {
	scheme, rest, ok := strings.Cut(text, "://")
	secure := ok && strings.HasPrefix(scheme, "rediss")
	switch strings.Replace(strings.Replace(scheme, "rediss", "redis", 1), "-", "+", 1) {
	case "redis":
		p.form = formSingle
	case "unix":
		p.form = formUnix
	case "redis+sentinel":
		p.form = formSentinel
	case "redis+cluster":
		p.form = formCluster
	default:
		ok = false
	}
	if !ok {
		return p, errors.New("the URL must begin with redis://, rediss://, unix://, redis+sentinel:// or redis+cluster:// (rediss+…:// for TLS)")
	}
	rest, query, _ := strings.Cut(rest, "?")
	authority, path := rest, ""
	if i := strings.IndexByte(rest, '/'); i >= 0 {
		authority, path = rest[:i], rest[i:]
	}
	hosts := authority
	if i := strings.LastIndexByte(authority, '@'); i >= 0 {
		hosts = authority[i+1:]
		if err := p.setUser(authority[:i]); err != nil {
			return p, err
		}
	}
	options, err := p.options(query, secure)
	if err != nil {
		return p, err
	}
	if err := p.setHosts(hosts, path); err != nil {
		return p, err
	}
	db := strings.Trim(path, "/")
	if p.form == formUnix {
		db = options["db"]
	}
	if db != "" {
		if p.db, err = strconv.Atoi(db); err != nil || p.db < 0 {
			return p, errors.New("the number of the database must be 0 or more")
		}
	}
	if p.form == formCluster && p.db != 0 {
		return p, errors.New("a cluster has no databases but number 0")
	}
	if p.master = options["master"]; p.form == formSentinel && p.master == "" {
		return p, errors.New("the option master is missing: what the sentinels call the primary")
	}
	if p.sentinelUser, p.sentinelPassword = options["sentinel_username"], options["sentinel_password"]; p.sentinelUser != "" && p.sentinelPassword == "" {
		return p, errors.New("there is a sentinel_username without a sentinel_password")
	}
	if secure {
		p.tls, err = tlsConfig(options)
	}
	return p, err
}

// setUser reads what stands before the @.
func (p *place) setUser(text string) (err error) {
	user, password, _ := strings.Cut(text, ":")
	if p.user, err = url.PathUnescape(user); err == nil {
		p.password, err = url.PathUnescape(password)
	}
	if err != nil {
		return errors.New("user and password must be percent-encoded")
	}
	if p.password == "" {
		return errors.New("there is a user without a password; a password without a user is written redis://:password@…")
	}
	return nil
}

// setHosts reads the host or the hosts, or the path of the socket.
func (p *place) setHosts(hosts, path string) error {
	if p.form == formUnix {
		socket, err := url.PathUnescape(path)
		if err != nil || hosts != "" || strings.Trim(socket, "/") == "" {
			return errors.New("the path of the socket must follow as in unix:///run/redis.sock")
		}
		p.addrs = []string{socket}
		return nil
	}
	port := "6379"
	if p.form == formSentinel {
		port = "26379"
	}
	for host := range strings.SplitSeq(hosts, ",") {
		u := url.URL{Host: host}
		name, given := u.Hostname(), u.Port()
		if given == "" {
			given = port
		}
		addr := net.JoinHostPort(name, given)
		number, err := strconv.ParseUint(given, 10, 16)
		// Back again it must be what it was, or there was more than a host and a port.
		if again := strings.TrimSuffix(addr, ":"+port); name == "" || err != nil || number == 0 || host != addr && host != again || strings.ContainsAny(name, "@%/ ") {
			return errors.New("hosts must be as in host:port, IPv6 addresses in [ ]; special characters of user and password must be percent-encoded")
		}
		p.addrs = append(p.addrs, addr)
	}
	if p.form == formSingle && len(p.addrs) > 1 {
		return errors.New("there are several hosts: begin with redis+cluster:// or redis+sentinel://")
	}
	if len(p.addrs) > maxHosts {
		return fmt.Errorf("there are more than %d hosts", maxHosts)
	}
	return nil
}

// options reads what stands after the question mark.
func (p *place) options(query string, secure bool) (map[string]string, error) {
	allowed := forms[p.form]
	if secure {
		allowed = append(allowed[:len(allowed):len(allowed)], tlsOptions...)
	}
	values, err := url.ParseQuery(query)
	options := map[string]string{}
	for name, all := range values {
		if !slices.Contains(allowed, name) || len(all) != 1 || all[0] == "" {
			err = errors.New("not allowed, repeated or empty")
			break
		}
		options[name] = all[0]
	}
	switch {
	case err == nil:
		return options, nil
	case len(allowed) == 0:
		return nil, errors.New("a URL of this form has no options")
	}
	return nil, fmt.Errorf("there is an option that is not one, or empty, or repeated; this form of URL can have %s", strings.Join(allowed, ", "))
}

// tlsConfig has the server prove who it is, and us too if there is a certificate.
func tlsConfig(options map[string]string) (*tls.Config, error) {
	c := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: options["server_name"]}
	if file := options["ca_file"]; file != "" {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("ca_file: %w", err)
		}
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(text) {
			return nil, errors.New("ca_file has no certificate in PEM form")
		}
	}
	if cert, key := options["cert_file"], options["key_file"]; cert != "" || key != "" {
		pair, err := tls.LoadX509KeyPair(cert, key)
		if err != nil {
			return nil, fmt.Errorf("cert_file and key_file: %w", err)
		}
		c.Certificates = []tls.Certificate{pair}
	}
	return c, nil
}
