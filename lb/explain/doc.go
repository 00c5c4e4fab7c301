// Package explain is what becomes of a request, with reasons: which route matches and why
// the others do not, which pool, where its session is at home, and how probably each
// endpoint is picked.
//
//	head, err := question.Head() // a request as the balancer would have parsed it
//	...                          // proxy.Explain fills in a Decision
//	decision.WriteText(os.Stdout)
//
// It holds values and their words. What they are is said by the code that serves: package
// proxy asks for it.
package explain
