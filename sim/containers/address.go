//go:build !image

package containers

import (
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"

	"go-loadbalancer/lb/policy"
)

// book is which addresses the scenario's are in truth. All but the hashes is written before
// the run begins.
type book struct {
	real    map[string]string // endpoints, as policies write them
	written map[string]string // and back
	listen  map[string]string // listeners

	mu     sync.Mutex
	hashes map[string]string // of policies as they were written, by those of what was given
}

func newBook() *book {
	return &book{real: map[string]string{}, written: map[string]string{}, listen: map[string]string{}, hashes: map[string]string{}}
}

// add says where an endpoint is.
func (b *book) add(at, real netip.AddrPort) {
	b.real[at.String()] = real.String()
	b.written[real.String()] = at.String()
}

// listeners has those of a policy be reached from elsewhere, and returns their ports.
func (b *book) listeners(p *policy.Policy) (ports []uint16, err error) {
	for _, l := range p.Listeners {
		host, port, err := net.SplitHostPort(l.Address)
		if err != nil {
			return nil, err
		}
		number, err := net.LookupPort("tcp", port)
		if err != nil {
			return nil, err
		}
		if host != "" {
			b.listen[l.Address] = ":" + port
		}
		ports = append(ports, uint16(number))
	}
	return ports, nil
}

// policy is a policy's files with the real addresses.
func (b *book) policy(files map[string][]byte) map[string][]byte {
	given := make(map[string][]byte, len(files))
	for name, text := range files {
		given[name] = []byte(replaced(replaced(string(text), b.listen), b.real))
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.hashes[policy.Files(given).Hash()] = policy.Files(files).Hash()
	return given
}

// replaced is a text with other addresses, where they stand by themselves.
func replaced(text string, by map[string]string) string {
	for from, to := range by {
		var out strings.Builder
		rest := text
		for {
			i := strings.Index(rest, from)
			if i < 0 {
				break
			}
			end := i + len(from)
			out.WriteString(rest[:i])
			if alone(rest[:i], rest[end:]) {
				out.WriteString(to)
			} else {
				out.WriteString(from)
			}
			rest = rest[end:]
		}
		out.WriteString(rest)
		text = out.String()
	}
	return text
}

// alone says whether what is between two texts is an address of its own.
func alone(before, after string) bool {
	part := func(c byte) bool { return c >= '0' && c <= '9' || c == '.' || c == ':' || c == '-' }
	return (before == "" || !part(before[len(before)-1])) && (after == "" || after[0] < '0' || after[0] > '9')
}

// place is an endpoint's address as the scenario has it.
func (b *book) place(real string) string {
	if at, ok := b.written[real]; ok {
		return at
	}
	return real
}

// hash is that of the policy as it was written.
func (b *book) hash(given string) string {
	b.mu.Lock()
	defer b.mu.Unlock()
	if h, ok := b.hashes[given]; ok {
		return h
	}
	return given
}

// subnets is how many there are for networks.
const subnets = 256

// subnet is one for a network: of the range for tests of networks (RFC 2544,
// RFC 5735), which no host of a real network has.
func subnet(n int) netip.Prefix {
	n %= subnets
	return netip.MustParsePrefix(fmt.Sprintf("198.18.%d.0/24", n))
}
