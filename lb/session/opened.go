package session

import (
	"hash/maphash"
	"sync"
	"sync/atomic"
)

// How many buckets of opened tickets there are: few at first, so that those of few
// sessions lie close together. What no processor's cache holds takes as long to read as
// all the rest of a look-up.
const (
	fewestBuckets = 1 << 7
	mostBuckets   = 1 << 13
	bucketPlaces  = 7 // as many as a cache line has room for
	mostTickets   = mostBuckets * bucketPlaces
)

// tickets are sealed tickets that were opened before: to open one costs about a
// microsecond. Nobody waits for a lock to find one, and of those in the same bucket, by
// their hash, only the right one is looked at.
type tickets struct {
	seed maphash.Seed
	keys atomic.Uint32 // counts the keys' changes
	all  atomic.Pointer[ticketBuckets]
	mu   sync.Mutex // of who keeps one
	kept int
	next int // the place that is given to another ticket next, in a full bucket
}

// ticketBuckets are a power of two many.
type ticketBuckets []ticketBucket

type ticketBucket struct {
	tags   atomic.Uint64 // a byte of each ticket's hash, the first place's last; 0: there is none
	places [bucketPlaces]atomic.Pointer[openedTicket]
}

// openedTicket does not change, but for its belief. Its fields are in the order in
// which they are looked at, and fill three cache lines.
type openedTicket struct {
	text  [SealedLen]byte
	keys  uint32 // by which it was opened
	realm string
	Ticket
	// belief is where that of its session was last: in the pool that was visited last.
	belief atomic.Pointer[lruSlot[place, belief]]
	stale  bool
}

func (t *tickets) init() {
	t.seed = maphash.MakeSeed()
	buckets := make(ticketBuckets, fewestBuckets)
	t.all.Store(&buckets)
}

// rekeyed is called once other keys are in use. What was opened by those of before, or
// is just being opened, does not count any more.
func (t *tickets) rekeyed() { t.keys.Add(1) }

// of is where a ticket is, if it is, and its tag. The seed is secret, so that nobody
// can drive another's ticket out.
func (t *tickets) of(all ticketBuckets, text []byte) (b *ticketBucket, tag byte) {
	h := maphash.Bytes(t.seed, text)
	return &all[h&uint64(len(all)-1)], byte(h>>56) | 1
}

// find returns a ticket that was opened before; nil if this one was not.
func (t *tickets) find(realm string, text []byte) *openedTicket {
	b, tag := t.of(*t.all.Load(), text)
	for i, tags := 0, b.tags.Load(); tags != 0; i, tags = i+1, tags>>8 {
		if byte(tags) != tag {
			continue
		}
		o := b.places[i].Load()
		if string(o.text[:]) == string(text) && o.keys == t.keys.Load() && o.realm == realm {
			return o
		}
	}
	return nil
}

// keep remembers a ticket. keys is what t.keys was before it was opened.
func (t *tickets) keep(keys uint32, realm string, text []byte, opened Ticket, stale bool) *openedTicket {
	o := &openedTicket{realm: realm, keys: keys, stale: stale, Ticket: opened}
	copy(o.text[:], text)
	t.mu.Lock()
	defer t.mu.Unlock()
	all := *t.all.Load()
	if t.kept > 2*len(all) && len(all) < mostBuckets { // so that few buckets are full
		grown := make(ticketBuckets, 2*len(all))
		t.kept = 0
		for i := range all {
			for j := range all[i].places {
				if o := all[i].places[j].Load(); o != nil {
					t.put(grown, o)
				}
			}
		}
		all = grown
		t.all.Store(&all)
	}
	t.put(all, o)
	return o
}

// put gives a ticket a place: its own, if it has one, or else a free one, or else that
// of another one. t.mu is locked.
func (t *tickets) put(all ticketBuckets, o *openedTicket) {
	b, tag := t.of(all, o.text[:])
	at := -1
	for i := range b.places {
		was := b.places[i].Load()
		if was == nil {
			at = i
			t.kept++
			break
		}
		if was.text == o.text {
			at = i
			break
		}
	}
	if at < 0 {
		t.next = (t.next + 1) % bucketPlaces
		at = t.next
	}
	b.places[at].Store(o) // first: where a tag is, a ticket is
	tags := b.tags.Load() &^ (0xff << (8 * at))
	b.tags.Store(tags | uint64(tag)<<(8*at))
}
