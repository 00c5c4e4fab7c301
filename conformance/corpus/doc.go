// Package corpus reads the conformance corpus: messages byte for byte, well
// formed and not, with what a strict HTTP/1.1 proxy does with each (RFC 9110, RFC
// 9112). The files are lb/wire/testdata/requests/*.yaml and responses/*.yaml, one
// a topic.
//
//	c, err := corpus.Load("lb/wire/testdata")
//	for _, r := range c.Requests {
//		send(r.Send)
//	}
//
// # Bytes
//
// What is sent is written as Go string literals, one behind the other, each with
// an optional count of repetitions:
//
//	send: |
//	  "GET / HTTP/1.1\r\nHost: h\r\n"
//	  "X: " "a"*70000 "\xff\x00\r\n\r\n"
//
// In the expectations a text that does not begin with a quote stands for itself.
package corpus
