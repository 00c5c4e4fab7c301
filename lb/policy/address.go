package policy

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"go-loadbalancer/lb/schema"
)

// The texts of the language that are not HTTP's: addresses and file names.

// listenAddress is host:port of a socket to listen on. Port 0 lets the system
// choose one.
func listenAddress() *schema.Scalar[string] {
	return schema.Checked("address to listen on", `^(.*):[0-9]{1,5}$`, func(s string) string {
		host, _, complaint := splitAddress(s, 0)
		if complaint != "" {
			return complaint
		}
		if _, err := netip.ParseAddr(host); err != nil && host != "" && host != "localhost" {
			return fmt.Sprintf("%s is not an IP address: listen on \":PORT\" for every address, or on an IP address of this machine", schema.Quote(host))
		}
		return ""
	})
}

// endpointAddress is host:port of an upstream server.
func endpointAddress() *schema.Scalar[string] {
	return schema.Checked("host:port", `^(.+):[0-9]{1,5}$`, func(s string) string {
		host, _, complaint := splitAddress(s, 1)
		if complaint != "" {
			return complaint
		}
		if ip, err := netip.ParseAddr(host); err == nil {
			if ip.IsUnspecified() || ip.IsMulticast() {
				return schema.Quote(host) + " is not the address of one server"
			}
			return ""
		}
		if host == "" {
			return schema.Quote(s) + " has no host: write it like 10.0.0.1:8080"
		}
		return schema.ComplainHostName(strings.TrimSuffix(host, ".")) // a dot at the end leaves the search list out
	})
}

// splitAddress takes host:port apart. An IPv6 host stands in brackets.
func splitAddress(s string, lowestPort int) (host string, port int, complaint string) {
	if strings.Contains(s, "://") {
		return "", 0, schema.Quote(s) + " is a URL: write host:port only"
	}
	colon := strings.LastIndexByte(s, ':')
	if colon < 0 {
		return "", 0, schema.Quote(s) + " has no port: write it like 10.0.0.1:8080"
	}
	host = s[:colon]
	inner, opened := strings.CutPrefix(host, "[")
	inner, closed := strings.CutSuffix(inner, "]")
	switch {
	case opened && closed:
		if ip, err := netip.ParseAddr(inner); err != nil || !ip.Is6() {
			return "", 0, schema.Quote(host) + " is not an IPv6 address in brackets"
		}
		host = inner
	case strings.ContainsAny(host, ":[]"):
		return "", 0, schema.Quote(s) + " is not host:port: an IPv6 address stands in brackets, like [2001:db8::1]:8080"
	}
	port, err := strconv.Atoi(s[colon+1:])
	if err != nil || strconv.Itoa(port) != s[colon+1:] || port < lowestPort || port > 65535 {
		return "", 0, fmt.Sprintf("%s is not a port: choose %d to 65535", schema.Quote(s[colon+1:]), lowestPort)
	}
	return host, port, ""
}

// prefix is a CIDR block.
func prefix() *schema.Scalar[netip.Prefix] {
	return schema.Words("CIDR block", `^[0-9A-Fa-f.:]+/[0-9]{1,3}$`, func(s string) (netip.Prefix, string) {
		p, err := netip.ParsePrefix(s)
		if err != nil {
			if ip, err := netip.ParseAddr(s); err == nil && ip.Zone() == "" {
				return p, fmt.Sprintf("%s has no prefix length: write %s/%d for this one address", s, s, ip.BitLen())
			}
			return p, schema.Quote(s) + " is not a CIDR block: write it like 10.0.0.0/8 or 2001:db8::/32"
		}
		if p != p.Masked() {
			return p, fmt.Sprintf("%s has bits set behind its prefix: write %s", s, p.Masked())
		}
		return p, ""
	}, func(p netip.Prefix) any { return p.String() })
}

// fileName is the name of a file on the machine that serves.
func fileName() *schema.Scalar[string] { return schema.FreeText(4096) }
