package telemetry

// QueueLate queues a record that was let through before the tracer was closed.
func QueueLate(t *Tracer) { t.enqueue(new(record)) }

// Kept is of how many spans the memory is kept; the tracer is closed.
func (t *Tracer) Kept() int { return len(t.batch.made) }
