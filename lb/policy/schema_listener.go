package policy

import "time"

func listenerKind() *object[Listener] {
	return &object[Listener]{pos: func(l *Listener) *Pos { return &l.Pos }, fields: []field[Listener]{
		required("name", acts, name(), func(l *Listener) *string { return &l.Name },
			"The listener's name, unique among listeners."),
		required("address", acts, listenAddress(), func(l *Listener) *string { return &l.Address },
			"Where to listen: IP:PORT, localhost:PORT, or :PORT for every address."),
		extra("tls", refused, listenerTLSKind(), func(l *Listener) **ListenerTLS { return &l.TLS },
			"TLS towards clients."),
		optional("trace", acts, oneOf("Refuse", "Allow"), "Refuse", func(l *Listener) *string { return &l.Trace },
			"What becomes of TRACE requests. Refuse: 405. Allow: passed on without Authorization, Proxy-Authorization and Cookie."),
		section("timeouts", acts, listenerTimeoutsKind(), func(l *Listener) *ListenerTimeouts { return &l.Timeouts },
			"How long a client may keep a connection waiting."),
		optional("splice", acts, boolean(), true, func(l *Listener) *bool { return &l.Splice },
			"Whether bodies of 64 KiB and more whose length is known pass from one connection to the other inside the kernel. It saves the balancer CPU, for 1 MiB a quarter of it down and three quarters up, and may cost the receiver some."),
		section("limits", acts, listenerLimitsKind(), func(l *Listener) *ListenerLimits { return &l.Limits },
			"What clients may cost."),
	}}
}

func listenerTimeoutsKind() *object[ListenerTimeouts] {
	wait := duration(time.Millisecond, 24*time.Hour)
	return &object[ListenerTimeouts]{fields: []field[ListenerTimeouts]{
		optional("idle", acts, wait, time.Minute, func(t *ListenerTimeouts) *time.Duration { return &t.Idle },
			"Longest pause between the requests of a connection."),
		optional("requestHeader", acts, wait, 10*time.Second, func(t *ListenerTimeouts) *time.Duration { return &t.RequestHeader },
			"Longest time from the first byte of a request's head to its last."),
		optional("requestBody", acts, wait, 30*time.Second, func(t *ListenerTimeouts) *time.Duration { return &t.RequestBody },
			"Longest silence inside a request body. A body may be waited for as long in all, and a second longer for every limits.requestBodyRate bytes that have come."),
		optional("write", acts, wait, 30*time.Second, func(t *ListenerTimeouts) *time.Duration { return &t.Write },
			"Longest time that a response waits for a client that takes none of it, or less than limits.responseRate asks."),
		optional("connectionAge", acts, duration(0, 24*time.Hour), 10*time.Minute, func(t *ListenerTimeouts) *time.Duration { return &t.ConnectionAge },
			"How long a connection may live, up to a tenth less at random: the reply to the first request after that says Connection: close, and an unused connection is closed. So connections spread over replicas that come later. 0s: no bound."),
	}}
}

func listenerLimitsKind() *object[ListenerLimits] {
	return &object[ListenerLimits]{check: checkListenerLimits, fields: []field[ListenerLimits]{
		optional("headerBytes", acts, integer(1<<10, 64<<10), 32<<10, func(l *ListenerLimits) *int { return &l.HeaderBytes },
			"Bytes of a request's head, request line and header fields together."),
		optional("headerFields", acts, integer(1, 10_000), 100, func(l *ListenerLimits) *int { return &l.HeaderFields },
			"Number of header fields of a request."),
		optional("connections", acts, integer(1, 1_000_000), 20_000, func(l *ListenerLimits) *int { return &l.Connections },
			"Connections open at once on this listener."),
		optional("connectionsPerAddress", acts, integer(1, 1_000_000), 10_000, func(l *ListenerLimits) *int { return &l.ConnectionsPerAddress },
			"Connections open at once from one client address; of IPv6, from one /64. The addresses of trustedProxies are exempt. None: half of connections.").defaultsTo(nil),
		optional("requestBodyRate", acts, integer(0, 1_000_000), 240, func(l *ListenerLimits) *int { return &l.RequestBodyRate },
			"Bytes a second a client must send of a body while it is waited for, beyond the grace of timeouts.requestBody. 0: no least rate."),
		optional("responseRate", acts, integer(0, 1_000_000), 240, func(l *ListenerLimits) *int { return &l.ResponseRate },
			"Bytes a second a client must take of a response that waits for it, over each timeouts.write. 0: any progress will do."),
	}}
}

func listenerTLSKind() *object[ListenerTLS] {
	return &object[ListenerTLS]{fields: []field[ListenerTLS]{
		required("certificates", acts, someOf(certificateKind()), func(t *ListenerTLS) *[]Certificate { return &t.Certificates },
			"Certificates, chosen by the server name that the client asks for; the first if none fits."),
		optional("clientCA", acts, fileName(), "", func(t *ListenerTLS) *string { return &t.ClientCA },
			"PEM file of the authorities that client certificates come from."),
		optional("clientAuth", acts, oneOf("None", "Optional", "Require"), "None", func(t *ListenerTLS) *string { return &t.ClientAuth },
			"Whether a client shows a certificate."),
		optional("minVersion", acts, oneOf("1.2", "1.3"), "1.2", func(t *ListenerTLS) *string { return &t.MinVersion },
			"Oldest version of TLS spoken."),
		optional("alpn", acts, someOf(oneOf("h2", "http/1.1")), []string{"h2", "http/1.1"}, func(t *ListenerTLS) *[]string { return &t.ALPN },
			"Protocols offered, the preferred one first."),
	}, check: checkListenerTLS}
}

func certificateKind() *object[Certificate] {
	return &object[Certificate]{fields: []field[Certificate]{
		required("certFile", acts, fileName(), func(c *Certificate) *string { return &c.CertFile },
			"PEM file of the certificate, followed by its chain."),
		required("keyFile", acts, fileName(), func(c *Certificate) *string { return &c.KeyFile },
			"PEM file of the private key."),
	}}
}
