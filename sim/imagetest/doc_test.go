// Package imagetest builds the container image as its users do, and puts a deployment
// of it to tester.sh: two replicas, fake backends and a real Redis on a network of their
// own. It also holds tester.sh against deployments that are no good.
//
// Everything carries a label with the process id of the tests, by which it is removed:
// when they pass, when they fail, when they are interrupted, and, should they be killed,
// by the next run.
package imagetest
