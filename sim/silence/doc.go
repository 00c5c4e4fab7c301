// Package silence has a machine, or a container, hear nothing of some others and say
// nothing to them: their packets are dropped without a word, as a broken network does,
// so that whoever waits for an answer waits. It is done by rules of routing (RFC 1812,
// section 5.3.9: a discarded packet without an ICMP error), which every Linux has, in the
// network namespace that the process is in, and needs CAP_NET_ADMIN there.
package silence
