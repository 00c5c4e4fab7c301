// Package citest runs what docs/ci gives to those who have a repository of policies, in
// repositories of its own: the hook by git commit, and the steps of the workflow as its
// runner would. It also reads the workflow of this repository.
package citest
