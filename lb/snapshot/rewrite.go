package snapshot

import "go-loadbalancer/lb/policy"

// Rewrite changes where a request goes before it is sent upstream.
type Rewrite struct {
	Hostname []byte // empty: kept
	path     pathChange
}

func newRewrite(r *policy.URLRewrite) *Rewrite {
	if r == nil {
		return nil
	}
	return &Rewrite{Hostname: []byte(r.Hostname), path: pathChange{r.PathType, r.Path}}
}

// AppendTarget appends the request target in origin form to dst. query is
// without its "?"; nil: there was none. prefixLen is [Matched.PrefixLen].
func (r *Rewrite) AppendTarget(dst, path, query []byte, prefixLen int) []byte {
	return appendQuery(r.path.append(dst, path, prefixLen), query)
}

func appendQuery(dst, query []byte) []byte {
	if query == nil {
		return dst
	}
	return append(append(dst, '?'), query...)
}

// pathChange is the path part of a rewrite or redirect.
type pathChange struct {
	kind  string // "", ReplaceFullPath, ReplacePrefixMatch
	value string
}

// append appends the changed path. What of the request's path follows the prefix
// is empty or begins with "/", so a replacement's own final "/" would double it;
// nothing at all becomes "/". Only a rule that matched a prefix has one to
// replace: for another the path stays.
func (c *pathChange) append(dst, path []byte, prefixLen int) []byte {
	switch {
	case c.kind == "ReplaceFullPath":
		return appendRooted(dst, c.value)
	case c.kind != "ReplacePrefixMatch" || prefixLen < 0 || prefixLen > len(path):
		return append(dst, path...)
	}
	rest := path[prefixLen:]
	if len(rest) == 0 {
		return appendRooted(dst, c.value)
	}
	value := c.value
	for value != "" && value[len(value)-1] == '/' {
		value = value[:len(value)-1]
	}
	return append(append(dst, value...), rest...)
}

func appendRooted(dst []byte, path string) []byte {
	if path == "" {
		return append(dst, '/')
	}
	return append(dst, path...)
}
