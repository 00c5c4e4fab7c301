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
		section("timeouts", acts, listenerTimeoutsKind(), func(l *Listener) *ListenerTimeouts { return &l.Timeouts },
			"How long a client may keep a connection waiting."),
		optional("splice", acts, boolean(), true, func(l *Listener) *bool { return &l.Splice },
			"Whether bodies of 64 KiB and more whose length is known pass from one connection to the other inside the kernel. It saves the balancer more than half of its CPU for them, and may cost the receiver some."),
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
			"Longest silence inside a request body."),
		optional("write", acts, wait, 30*time.Second, func(t *ListenerTimeouts) *time.Duration { return &t.Write },
			"Longest time that writing a response may make no progress."),
	}}
}

func listenerLimitsKind() *object[ListenerLimits] {
	return &object[ListenerLimits]{fields: []field[ListenerLimits]{
		optional("headerBytes", acts, integer(1<<10, 64<<10), 32<<10, func(l *ListenerLimits) *int { return &l.HeaderBytes },
			"Bytes of a request's head, request line and header fields together."),
		optional("headerFields", acts, integer(1, 10_000), 100, func(l *ListenerLimits) *int { return &l.HeaderFields },
			"Number of header fields of a request."),
		optional("connections", acts, integer(1, 1_000_000), 20_000, func(l *ListenerLimits) *int { return &l.Connections },
			"Connections open at once on this listener."),
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
