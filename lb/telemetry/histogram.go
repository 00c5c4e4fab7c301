package telemetry

import (
	"encoding/hex"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	dto "github.com/prometheus/client_model/go"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"go-loadbalancer/lb/event"
)

// histogram counts durations once for both kinds of Prometheus's histograms: the
// classic one with client_golang's DefBuckets, and the native one with eight buckets for
// each power of two (schema 3, a width of 9%), from 30 µs to 9 h: what is shorter is in
// the zero bucket, what is longer in the last. See docs/decisions/histograms.md.
//
// It counts in cells, which no boundary of either kind lies inside of, so that both are
// sums of the same counts. Cells come in chunks, made when they are first needed: a
// service's durations spread over some of them.
type histogram struct {
	created   time.Time
	sum       atomic.Uint64 // bits of a float64, in seconds
	chunks    [chunks]atomic.Pointer[[chunkCells]atomic.Uint64]
	exemplars atomic.Pointer[exemplars] // nil: there never was one
}

const (
	nativeSchema   = 3
	perOctave      = 1 << nativeSchema
	firstOctave    = -15           // 2^-15 s is the zero threshold
	lastOctave     = 15            // 2^15 s is the upper bound of the last native bucket
	slicesAnOctave = 2 * perOctave // of equal width, narrow enough to have few boundaries inside
	mantissaToDrop = 52 - nativeSchema - 1
	chunkCells     = 16
	chunks         = 16
	zeroThreshold  = 1.0 / (1 << -firstOctave)
)

// classicBounds are the upper bounds of classic buckets, in seconds: those of
// [prometheus.DefBuckets].
var classicBounds = [...]float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10}

// classicUpper are the same and +Inf.
var classicUpper = append(slices.Clone(classicBounds[:]), math.Inf(1))

// cells are what durations are counted in.
var cells = newCells()

// cellTable has more room than there are cells, so that a uint8 is never out of it.
type cellTable struct {
	upto    [256]float64 // inclusive bounds in seconds, ascending; of the last cell +Inf
	native  [256]int16   // index of the native bucket, whose upper bound is 2^(index/8)
	classic [256]uint8   // index in classicBounds, or their number: +Inf
	// first is the first cell of each slice of an octave, all octaves in a row.
	first [(lastOctave - firstOctave) * slicesAnOctave]uint8
}

func newCells() (t cellTable) {
	bounds := slices.Clone(classicBounds[:])
	for i := firstOctave * perOctave; i <= lastOctave*perOctave; i++ {
		bounds = append(bounds, math.Exp2(float64(i)/perOctave))
	}
	slices.Sort(bounds)
	bounds = slices.Compact(bounds)
	native := firstOctave * perOctave
	for cell, upper := range bounds {
		if upper > math.Exp2(float64(native)/perOctave) {
			native++
		}
		classic, _ := slices.BinarySearch(classicBounds[:], upper)
		t.upto[cell], t.native[cell], t.classic[cell] = upper, int16(native), uint8(classic)
	}
	for i := range t.first {
		lowest := math.Float64frombits((firstSlice + uint64(i)) << mantissaToDrop)
		cell, _ := slices.BinarySearch(bounds, lowest)
		t.first[i] = uint8(cell)
	}
	t.upto[len(bounds)-1] = math.Inf(1)
	return t
}

// sliceOf is the exponent of a positive number and the beginning of its mantissa.
func sliceOf(seconds float64) uint64 { return math.Float64bits(seconds) >> mantissaToDrop }

// firstSlice begins where the cell of short durations ends.
var firstSlice = sliceOf(zeroThreshold)

// find returns the cell of a duration. From the first of its slice it is a step or two.
func (t *cellTable) find(seconds float64) uint8 {
	if seconds <= zeroThreshold {
		return 0
	}
	slice := min(sliceOf(seconds)-firstSlice, uint64(len(t.first)-1))
	cell := t.first[slice]
	for seconds > t.upto[cell] {
		cell++
	}
	return cell
}

// observe counts a duration. Its trace is kept for who asks what lasted so long, if it
// is sampled: of another nothing can be looked up.
func (h *histogram) observe(d time.Duration, start time.Time, span *event.Span) {
	seconds := d.Seconds()
	cell := cells.find(seconds)
	chunk := h.chunks[cell/chunkCells].Load()
	if chunk == nil {
		chunk = h.grow(cell / chunkCells)
	}
	chunk[cell%chunkCells].Add(1)
	for {
		old := h.sum.Load()
		if h.sum.CompareAndSwap(old, math.Float64bits(math.Float64frombits(old)+seconds)) {
			break
		}
	}
	if span.Sampled {
		h.keep(exemplar{span.Trace, seconds, start.Add(d)}, cells.classic[cell])
	}
}

func (h *histogram) grow(chunk uint8) *[chunkCells]atomic.Uint64 {
	h.chunks[chunk].CompareAndSwap(nil, new([chunkCells]atomic.Uint64))
	return h.chunks[chunk].Load()
}

// exemplars are the latest of each classic bucket, which is where both kinds of
// histograms are looked for them.
type exemplars struct {
	mu     sync.Mutex
	latest [len(classicBounds) + 1]exemplar // by index in classicBounds; behind them: +Inf
}

// exemplar is a duration and the trace that tells more of it; a trace of zeros: none.
type exemplar struct {
	trace   [16]byte
	seconds float64
	at      time.Time
}

func (h *histogram) keep(x exemplar, bucket uint8) {
	e := h.exemplars.Load()
	if e == nil {
		h.exemplars.CompareAndSwap(nil, new(exemplars))
		e = h.exemplars.Load()
	}
	e.mu.Lock()
	e.latest[bucket] = x
	e.mu.Unlock()
}

// counted yields the cells that have counted something, in ascending order.
func (h *histogram) counted(yield func(cell int, n uint64) bool) {
	for c := range h.chunks {
		chunk := h.chunks[c].Load()
		if chunk == nil {
			continue
		}
		for i := range chunk {
			if n := chunk[i].Load(); n > 0 && !yield(c*chunkCells+i, n) {
				return
			}
		}
	}
}

// seconds is the sum of all durations.
func (h *histogram) seconds() float64 { return math.Float64frombits(h.sum.Load()) }

// below returns how many lasted up to each of the classic bounds, and behind them how
// many there were.
func (h *histogram) below() []uint64 {
	out := make([]uint64, len(classicBounds)+1)
	for cell, n := range h.counted {
		out[cells.classic[cell]] += n
	}
	accumulate(out)
	return out
}

func accumulate(counts []uint64) {
	for i := 1; i < len(counts); i++ {
		counts[i] += counts[i-1]
	}
}

func (h *histogram) read() *dto.Histogram {
	below := make([]uint64, len(classicBounds)+1)
	var zero uint64
	native := nativeBuckets{deltas: make([]int64, 0, 4*perOctave)}
	for cell, n := range h.counted {
		below[cells.classic[cell]] += n
		if cell == 0 {
			zero = n
		} else {
			native.add(int(cells.native[cell]), n)
		}
	}
	accumulate(below)
	classic := make([]dto.Bucket, len(below))
	for i := range classic {
		classic[i].CumulativeCount = &below[i]
		classic[i].UpperBound = &classicUpper[i]
	}
	h.exemplars.Load().put(classic)
	out := &dto.Histogram{
		SampleCount:      &below[len(below)-1],
		SampleSum:        proto.Float64(h.seconds()),
		CreatedTimestamp: timestamppb.New(h.created),
		Bucket:           make([]*dto.Bucket, 0, len(classic)),
		Schema:           proto.Int32(nativeSchema),
		ZeroThreshold:    proto.Float64(zeroThreshold),
		ZeroCount:        &zero,
		PositiveSpan:     native.spans,
		PositiveDelta:    native.deltas,
	}
	for i := range classic {
		// Encoders put +Inf in by themselves, but for an exemplar.
		if i < len(classicBounds) || classic[i].Exemplar != nil {
			out.Bucket = append(out.Bucket, &classic[i])
		}
	}
	return out
}

// put gives each bucket its exemplar, where there is one.
func (e *exemplars) put(buckets []dto.Bucket) {
	if e == nil {
		return
	}
	e.mu.Lock()
	latest := e.latest
	e.mu.Unlock()
	for i := range buckets {
		if latest[i].trace == [16]byte{} {
			continue
		}
		buckets[i].Exemplar = &dto.Exemplar{
			Label:     []*dto.LabelPair{{Name: proto.String("trace_id"), Value: proto.String(hex.EncodeToString(latest[i].trace[:]))}},
			Value:     proto.Float64(latest[i].seconds),
			Timestamp: timestamppb.New(latest[i].at),
		}
	}
}

// nativeBuckets are the counts of a native histogram as they are sent: spans of
// buckets next to each other, and each count's difference from the one before.
type nativeBuckets struct {
	spans  []*dto.BucketSpan
	deltas []int64
	last   int // index of the last bucket
	count  uint64
}

// add adds to a bucket; indexes come in ascending order.
func (b *nativeBuckets) add(index int, n uint64) {
	if len(b.spans) > 0 && index == b.last {
		b.deltas[len(b.deltas)-1] += int64(n)
		b.count += n
		return
	}
	offset := index // of the first span, from 0; of others, from the end of the one before
	if len(b.spans) > 0 {
		offset -= b.last + 1
	}
	if len(b.spans) == 0 || offset > 0 {
		b.spans = append(b.spans, &dto.BucketSpan{Offset: proto.Int32(int32(offset)), Length: proto.Uint32(0)})
	}
	*b.spans[len(b.spans)-1].Length++
	b.deltas = append(b.deltas, int64(n)-int64(b.count))
	b.last, b.count = index, n
}
