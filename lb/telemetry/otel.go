package telemetry

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"go-loadbalancer/lb/event"
)

// The standard variables by which OpenTelemetry is set up
// (https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/).
// Here are those that the SDK leaves to the program; the exporters read the rest by
// themselves, and the SDK the limits of spans. As the specification asks, a value that is
// no good is warned of, and its default taken.

// environment reads variables, and warns of those that are no good.
type environment struct{ logger *slog.Logger }

// get is a variable's value; an empty one counts as not set.
func (environment) get(names ...string) string {
	for _, name := range names {
		if v := strings.TrimSpace(os.Getenv(name)); v != "" {
			return v
		}
	}
	return ""
}

func (e environment) refuse(name, value, instead string) {
	e.logger.Warn("traces: a variable of the environment is no good", "variable", name, "value", value, "instead", instead)
}

// wantsTraces reports whether spans are exported. That is not so unless somebody says
// so or says where to: the specification would have it by default, to an address
// where mostly nobody listens.
func (e environment) wantsTraces() bool {
	if strings.EqualFold(e.get("OTEL_SDK_DISABLED"), "true") {
		return false
	}
	exporters := e.get("OTEL_TRACES_EXPORTER")
	if exporters == "" {
		return e.endpoint() != ""
	}
	wanted := false
	for name := range strings.SplitSeq(exporters, ",") {
		switch strings.TrimSpace(name) {
		case "otlp":
			wanted = true
		case "none":
		default:
			e.refuse("OTEL_TRACES_EXPORTER", name, "none: otlp is the only exporter there is")
		}
	}
	return wanted
}

func (e environment) endpoint() string {
	return e.get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
}

// printableEndpoint is the endpoint without what may be a password.
func (e environment) printableEndpoint() string {
	text := e.endpoint()
	if text == "" {
		return "localhost"
	}
	u, err := url.Parse(text)
	if err != nil || u.Host == "" {
		return text[strings.LastIndexByte(text, '@')+1:]
	}
	u.User, u.RawQuery = nil, ""
	return u.String()
}

// collector is where spans go, not connected yet, and by which protocol.
func (e environment) collector() (otlptrace.Client, string) {
	protocol := e.get("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
	switch protocol {
	case "grpc":
		return otlptracegrpc.NewClient(), protocol
	case "", "http/protobuf":
		protocol = "http/protobuf"
	case "http/json":
	default:
		e.refuse("OTEL_EXPORTER_OTLP_PROTOCOL", protocol, "http/protobuf")
		protocol = "http/protobuf"
	}
	return otlptracehttp.NewClient(), protocol
}

// sampling returns which traces are sampled, and what that is called.
func (e environment) sampling() (s sampling, name string) {
	const variable, fallback = "OTEL_TRACES_SAMPLER", "parentbased_always_on"
	name = cmp.Or(e.get(variable), fallback)
	if known := []string{"always_on", "always_off", "traceidratio"}; !slices.Contains(known, strings.TrimPrefix(name, "parentbased_")) {
		e.refuse(variable, name, fallback)
		name = fallback
	}
	kind, byParent := strings.CutPrefix(name, "parentbased_")
	s = sampling{byParent: byParent, below: samplesAll}
	switch kind {
	case "always_off":
		s.below = 0
	case "traceidratio":
		const variable = "OTEL_TRACES_SAMPLER_ARG"
		ratio, text := 1.0, e.get(variable)
		if text != "" {
			r, err := strconv.ParseFloat(text, 64)
			if err == nil && r >= 0 && r <= 1 {
				ratio = r
			} else {
				e.refuse(variable, text, "1")
			}
		}
		s.below = uint64(ratio * samplesAll)
		name = fmt.Sprintf("%s %v", name, ratio)
	}
	return s, name
}

// sampling says which traces are sampled. It decides as the SDK's samplers do, so that
// services with the same ratio sample the same traces, but in a step or two where
// theirs take 60 ns of each request.
type sampling struct {
	byParent bool   // those that began elsewhere are as they are there
	below    uint64 // those are whose id's lower half, without its lowest bit, is below
}

// samplesAll is above all that is compared with it, which has 63 bits.
const samplesAll = 1 << 63

func (s sampling) wants(id [16]byte, parent event.TraceParent) bool {
	if s.byParent && parent != event.NoTraceParent {
		return parent == event.ParentRecorded
	}
	return binary.BigEndian.Uint64(id[8:])>>1 < s.below
}

// number is a whole number from 1 to most.
func (e environment) number(name string, fallback, most int) int {
	text := e.get(name)
	if text == "" {
		return fallback
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > most {
		e.refuse(name, text, strconv.Itoa(fallback))
		return fallback
	}
	return n
}

// batching is how spans wait, and how they are sent.
type batching struct {
	waiting int           // most that do
	size    int           // most that are sent at once
	delay   time.Duration // from the first of a batch to its sending
	timeout time.Duration // of a sending, what the exporter tries again included
}

func (e environment) batching() batching {
	const hour = 3_600_000
	b := batching{
		waiting: e.number("OTEL_BSP_MAX_QUEUE_SIZE", sdktrace.DefaultMaxQueueSize, 1<<20),
		size:    e.number("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", sdktrace.DefaultMaxExportBatchSize, 1<<16),
		delay:   time.Duration(e.number("OTEL_BSP_SCHEDULE_DELAY", sdktrace.DefaultScheduleDelay, hour)) * time.Millisecond,
		timeout: time.Duration(e.number("OTEL_BSP_EXPORT_TIMEOUT", sdktrace.DefaultExportTimeout, hour)) * time.Millisecond,
	}
	b.size = min(b.size, b.waiting)
	return b
}
