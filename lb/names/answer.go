package names

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
)

// maxAddresses is how many addresses of one name are used.
const maxAddresses = 1000

// answer is what is of use in what a resolver found.
type answer struct {
	addresses []netip.Addr // sorted, each once
	unusable  int
	cut       int // beyond maxAddresses
}

// clean sorts an answer, so that the same addresses in another order, as many
// name servers give them, are the same answer; which are cut off is then the same
// each time, too. An address with a zone is left out, since the zone is this
// machine's and no name can know it; and so are those that no one server has.
func clean(found []netip.Addr) answer {
	a := answer{addresses: make([]netip.Addr, 0, len(found))}
	for _, ip := range found {
		ip = ip.Unmap()
		if !ip.IsValid() || ip.Zone() != "" || ip.IsUnspecified() || ip.IsMulticast() {
			a.unusable++
			continue
		}
		a.addresses = append(a.addresses, ip)
	}
	slices.SortFunc(a.addresses, netip.Addr.Compare)
	a.addresses = slices.Compact(a.addresses)
	if a.cut = max(0, len(a.addresses)-maxAddresses); a.cut > 0 {
		a.addresses = slices.Clip(a.addresses[:maxAddresses])
	}
	return a
}

// emptiness says what is wrong with an answer without addresses.
func (a answer) emptiness() error {
	if a.unusable > 0 {
		return fmt.Errorf("the resolver answered, but none of its %d addresses is that of one server (0.0.0.0, multicast, or with a zone)", a.unusable)
	}
	return errors.New("the resolver answered without an address")
}
