package main

// subject is a proxy that the corpus is put to. Text in arguments and in the
// configuration is a text/template over [instance].
type subject struct {
	name string
	// build is a Go package built into the binary; else binary is looked up.
	build  string
	binary string
	// config, in testdata, becomes the file configAs of the instance's directory.
	config   string
	configAs string
	args     []string
	// version prints the version in its first line.
	version []string
}

// subjects are the product, first, and its peers.
func subjects() []subject {
	return []subject{
		{
			name: "lb", build: "go-loadbalancer/lb",
			config: "policy.yaml.tmpl", configAs: "policies/policy.yaml",
			args: []string{"run", "--policies", "{{.Dir}}/policies", "--admin", "{{.Admin}}", "--access-log", "off"},
		},
		{
			name: "HAProxy", binary: "haproxy",
			config: "haproxy.cfg.tmpl", configAs: "haproxy.cfg",
			args:    []string{"-db", "-f", "{{.Dir}}/haproxy.cfg"},
			version: []string{"-v"},
		},
		{
			name: "nginx", binary: "nginx",
			config: "nginx.conf.tmpl", configAs: "nginx.conf",
			args:    []string{"-p", "{{.Dir}}", "-c", "{{.Dir}}/nginx.conf"},
			version: []string{"-v"},
		},
		{
			name: "httpd", binary: "apache2",
			config: "httpd.conf.tmpl", configAs: "httpd.conf",
			args:    []string{"-f", "{{.Dir}}/httpd.conf", "-DFOREGROUND"},
			version: []string{"-v"},
		},
	}
}

// instance is what a subject's templates may use.
type instance struct {
	Dir     string // of its own, for its files
	Listen  string // address to serve traffic on
	Admin   string // a free address, for those that need one
	Backend string // address of the backend
}
