package redistest

// Options are what a server has beside the usual. The zero value is a plain one.
type Options struct {
	// TLS has it speak nothing else, with a certificate for 127.0.0.1 and localhost
	// signed by the CA of [Server.CA]. It asks clients for none.
	TLS bool
	// Password is that of the default user.
	Password string
	// Args are further arguments of redis-server, such as "--maxmemory", "1mb".
	Args []string
}
