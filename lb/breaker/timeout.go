package breaker

import "time"

// ProbeTimeout is how long a probe may take.
const ProbeTimeout = 30 * time.Second
