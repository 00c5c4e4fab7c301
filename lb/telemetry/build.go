package telemetry

import (
	"runtime"
	"runtime/debug"

	"github.com/prometheus/client_golang/prometheus"
)

// Build says what was built from which sources.
type Build struct {
	Version   string `json:"version"`   // of the module; "devel" if built from a checkout without tags
	Revision  string `json:"revision"`  // version control commit, with "-dirty" if files were changed; may be empty
	Time      string `json:"time"`      // of that commit, RFC 3339; may be empty
	GoVersion string `json:"goVersion"` // such as go1.26
}

// Where there is no checkout to record, as in the build of the container image, the
// linker is told: -ldflags '-X go-loadbalancer/lb/telemetry.linkedVersion=1.2.3'.
var linkedVersion, linkedRevision string

// ReadBuild returns what the Go linker recorded in this binary.
func ReadBuild() Build {
	b := Build{Version: "devel", GoVersion: runtime.Version()}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return b
	}
	if v := info.Main.Version; v != "" && v != "(devel)" {
		b.Version = v
	}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			b.Revision = s.Value
		case "vcs.time":
			b.Time = s.Value
		case "vcs.modified":
			if s.Value == "true" && b.Revision != "" {
				b.Revision += "-dirty"
			}
		}
	}
	if linkedVersion != "" {
		b.Version = linkedVersion
	}
	if linkedRevision != "" {
		b.Revision, b.Time = linkedRevision, ""
	}
	return b
}

func (b Build) collector() prometheus.Collector {
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "lb_build_info",
		Help: "Always 1; the labels say what was built.",
		ConstLabels: prometheus.Labels{
			"version": b.Version, "revision": b.Revision, "go_version": b.GoVersion,
		},
	}, func() float64 { return 1 })
}
