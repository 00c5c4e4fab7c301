// Package upstream holds the connections to one address: a [Transport] dials
// them, keeps idle ones for reuse, and lends each request a [Stream].
//
//	t := upstream.NewTransport(upstream.Options{Address: "10.0.0.1:8080", Dial: dial})
//	defer t.Close()
//	s, err := t.Open()
//	if err != nil {
//		return err // the endpoint cannot be reached
//	}
//	defer s.Release()
//	s.Send(&head)
//	s.SetTimeout(time.Second, time.Second)
//	reply, err := s.Await()
//	for err == nil {
//		var piece []byte
//		piece, err = s.Body().Next() // io.EOF at the end
//		use(piece)
//	}
//
// # Failures
//
// Every error is an [*Error], whose kind says what the endpoint did. A
// connection is lent again only after a whole response with nothing behind it;
// any doubt closes it.
//
// # Caps
//
// A [Gate] caps the connections of several transports together, idle ones
// included. Idle ones make room: at the cap the oldest of them, whosever it is,
// is closed for a new one.
//
// # Concurrency
//
// A Transport may be used by any number of goroutines. A Stream belongs to one,
// but that a second one may Write, Flush and End while the first is in Await or
// reads the body: a request body may be sent while its response comes.
package upstream
