package telemetry

// QueueLate queues a record that was let through before the tracer was closed.
func QueueLate(t *Tracer) { t.enqueue(new(record)) }
