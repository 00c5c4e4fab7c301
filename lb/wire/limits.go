package wire

// Limits bounds what a head may cost. Zero fields take [DefaultLimits]'s.
type Limits struct {
	HeadBytes   int // start line and fields together
	TargetBytes int // request target
	Fields      int // number of fields
}

// DefaultLimits are the limits of a zero [Limits].
var DefaultLimits = Limits{HeadBytes: 32 << 10, TargetBytes: 8 << 10, Fields: 100}

func (l Limits) orDefault() Limits {
	if l.HeadBytes == 0 {
		l.HeadBytes = DefaultLimits.HeadBytes
	}
	if l.TargetBytes == 0 {
		l.TargetBytes = DefaultLimits.TargetBytes
	}
	if l.Fields == 0 {
		l.Fields = DefaultLimits.Fields
	}
	return l
}
