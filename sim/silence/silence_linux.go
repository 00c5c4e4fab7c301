package silence

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"syscall"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

const (
	// Rules of less come first. What is for this machine itself is looked up at 0, before
	// any rule could drop it, so that is done later.
	local   = 100
	dropped = 10
)

// Begin drops all packets from and to others from now on.
func Begin(others []netip.Prefix) error {
	if err := later(); err != nil {
		return err
	}
	return each(others, func(r *netlink.Rule) error {
		if err := netlink.RuleAdd(r); err != nil && !errors.Is(err, syscall.EEXIST) {
			return err
		}
		return nil
	})
}

// End drops them no longer.
func End(others []netip.Prefix) error {
	return each(others, func(r *netlink.Rule) error {
		if err := netlink.RuleDel(r); err != nil && !errors.Is(err, syscall.ENOENT) {
			return err
		}
		return nil
	})
}

// later has the table of the machine's own addresses be looked up after the rules that
// drop.
func later() error {
	all, err := netlink.RuleList(netlink.FAMILY_V4)
	if err != nil {
		return fmt.Errorf("the rules of routing cannot be read: %w", err)
	}
	for _, r := range all {
		if r.Table == unix.RT_TABLE_LOCAL && r.Priority == local {
			return nil
		}
	}
	own := func(priority int) *netlink.Rule {
		r := netlink.NewRule()
		r.Family, r.Table, r.Priority = netlink.FAMILY_V4, unix.RT_TABLE_LOCAL, priority
		return r
	}
	if err := netlink.RuleAdd(own(local)); err != nil {
		return fmt.Errorf("a rule of routing cannot be added: %w", err)
	}
	if err := netlink.RuleDel(own(0)); err != nil {
		return fmt.Errorf("a rule of routing cannot be deleted: %w", err)
	}
	return nil
}

// each is done with the rules for others, both ways.
func each(others []netip.Prefix, do func(*netlink.Rule) error) error {
	for _, o := range others {
		other := &net.IPNet{IP: o.Addr().AsSlice(), Mask: net.CIDRMask(o.Bits(), 32)}
		from, to := netlink.NewRule(), netlink.NewRule()
		from.Src, to.Dst = other, other
		for _, r := range []*netlink.Rule{from, to} {
			r.Family, r.Priority, r.Type = netlink.FAMILY_V4, dropped, unix.RTN_BLACKHOLE
			if err := do(r); err != nil {
				return fmt.Errorf("packets from and to %s: %w", o, err)
			}
		}
	}
	return nil
}
