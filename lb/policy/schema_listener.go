package policy

import (
	"time"

	"go-loadbalancer/lb/schema"
)

func listenerKind() *schema.Object[Listener] {
	return &schema.Object[Listener]{Pos: func(l *Listener) *Pos { return &l.Pos }, Fields: []schema.Field[Listener]{
		schema.Required("name", schema.Acts, schema.Name(), func(l *Listener) *string { return &l.Name },
			"The listener's name, unique among listeners."),
		schema.Required("address", schema.Acts, listenAddress(), func(l *Listener) *string { return &l.Address },
			"Where to listen: IP:PORT, localhost:PORT, or :PORT for every address."),
		schema.Extra("tls", schema.Refused, listenerTLSKind(), func(l *Listener) **ListenerTLS { return &l.TLS },
			"TLS towards clients."),
		schema.Optional("trace", schema.Acts, schema.OneOf("Refuse", "Allow"), "Refuse", func(l *Listener) *string { return &l.Trace },
			"What becomes of TRACE requests. Refuse: 405. Allow: passed on without Authorization, Proxy-Authorization and Cookie."),
		schema.Section("timeouts", schema.Acts, listenerTimeoutsKind(), func(l *Listener) *ListenerTimeouts { return &l.Timeouts },
			"How long a client may keep a connection waiting."),
		schema.Optional("splice", schema.Acts, schema.Boolean(), true, func(l *Listener) *bool { return &l.Splice },
			"Whether bodies of 64 KiB and more whose length is known pass from one connection to the other inside the kernel. It saves the balancer CPU, for 1 MiB a quarter of it down and three quarters up, and may cost the receiver some."),
		schema.Section("limits", schema.Acts, listenerLimitsKind(), func(l *Listener) *ListenerLimits { return &l.Limits },
			"What clients may cost."),
	}}
}

func listenerTimeoutsKind() *schema.Object[ListenerTimeouts] {
	wait := schema.Duration(time.Millisecond, 24*time.Hour)
	return &schema.Object[ListenerTimeouts]{Fields: []schema.Field[ListenerTimeouts]{
		schema.Optional("idle", schema.Acts, wait, time.Minute, func(t *ListenerTimeouts) *time.Duration { return &t.Idle },
			"Longest pause between the requests of a connection."),
		schema.Optional("requestHeader", schema.Acts, wait, 10*time.Second, func(t *ListenerTimeouts) *time.Duration { return &t.RequestHeader },
			"Longest time from the first byte of a request's head to its last."),
		schema.Optional("requestBody", schema.Acts, wait, 30*time.Second, func(t *ListenerTimeouts) *time.Duration { return &t.RequestBody },
			"Longest silence inside a request body. A body may be waited for as long in all, and a second longer for every limits.requestBodyRate bytes that have come."),
		schema.Optional("write", schema.Acts, wait, 30*time.Second, func(t *ListenerTimeouts) *time.Duration { return &t.Write },
			"Longest time that a response waits for a client that takes none of it, or less than limits.responseRate asks."),
		schema.Optional("connectionAge", schema.Acts, schema.Duration(0, 24*time.Hour), 10*time.Minute, func(t *ListenerTimeouts) *time.Duration { return &t.ConnectionAge },
			"How long a connection may live, up to a tenth less at random: the reply to the first request after that says Connection: close, and an unused connection is closed. So connections spread over replicas that come later. 0s: no bound."),
	}}
}

func listenerLimitsKind() *schema.Object[ListenerLimits] {
	return &schema.Object[ListenerLimits]{Check: checkListenerLimits, Fields: []schema.Field[ListenerLimits]{
		schema.Optional("headerBytes", schema.Acts, schema.Integer(1<<10, 64<<10), 32<<10, func(l *ListenerLimits) *int { return &l.HeaderBytes },
			"Bytes of a request's head, request line and header fields together."),
		schema.Optional("headerFields", schema.Acts, schema.Integer(1, 10_000), 100, func(l *ListenerLimits) *int { return &l.HeaderFields },
			"Number of header fields of a request."),
		schema.Optional("connections", schema.Acts, schema.Integer(1, 1_000_000), 20_000, func(l *ListenerLimits) *int { return &l.Connections },
			"Connections open at once on this listener."),
		schema.Optional("connectionsPerAddress", schema.Acts, schema.Integer(1, 1_000_000), 10_000, func(l *ListenerLimits) *int { return &l.ConnectionsPerAddress },
			"Connections open at once from one client address; of IPv6, from one /64. The addresses of trustedProxies are exempt. None: half of connections.").DefaultsTo(nil),
		schema.Optional("requestBodyRate", schema.Acts, schema.Integer(0, 1_000_000), 240, func(l *ListenerLimits) *int { return &l.RequestBodyRate },
			"Bytes a second a client must send of a body while it is waited for, beyond the grace of timeouts.requestBody. 0: no least rate."),
		schema.Optional("responseRate", schema.Acts, schema.Integer(0, 1_000_000), 240, func(l *ListenerLimits) *int { return &l.ResponseRate },
			"Bytes a second a client must take of a response that waits for it, over each timeouts.write. 0: any progress will do."),
	}}
}

func listenerTLSKind() *schema.Object[ListenerTLS] {
	return &schema.Object[ListenerTLS]{Fields: []schema.Field[ListenerTLS]{
		schema.Required("certificates", schema.Acts, schema.SomeOf(certificateKind()), func(t *ListenerTLS) *[]Certificate { return &t.Certificates },
			"Certificates, chosen by the server name that the client asks for; the first if none fits."),
		schema.Optional("clientCA", schema.Acts, fileName(), "", func(t *ListenerTLS) *string { return &t.ClientCA },
			"PEM file of the authorities that client certificates come from."),
		schema.Optional("clientAuth", schema.Acts, schema.OneOf("None", "Optional", "Require"), "None", func(t *ListenerTLS) *string { return &t.ClientAuth },
			"Whether a client shows a certificate."),
		schema.Optional("minVersion", schema.Acts, schema.OneOf("1.2", "1.3"), "1.2", func(t *ListenerTLS) *string { return &t.MinVersion },
			"Oldest version of TLS spoken."),
		schema.Optional("alpn", schema.Acts, schema.SomeOf(schema.OneOf("h2", "http/1.1")), []string{"h2", "http/1.1"}, func(t *ListenerTLS) *[]string { return &t.ALPN },
			"Protocols offered, the preferred one first."),
	}, Check: checkListenerTLS}
}

func certificateKind() *schema.Object[Certificate] {
	return &schema.Object[Certificate]{Fields: []schema.Field[Certificate]{
		schema.Required("certFile", schema.Acts, fileName(), func(c *Certificate) *string { return &c.CertFile },
			"PEM file of the certificate, followed by its chain."),
		schema.Required("keyFile", schema.Acts, fileName(), func(c *Certificate) *string { return &c.KeyFile },
			"PEM file of the private key."),
	}}
}
