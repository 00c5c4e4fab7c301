package scenario

import (
	"slices"

	"go-loadbalancer/lb/schema"
)

// Codes of diagnostics beyond those of every language. They are stable.
const (
	CodeUnreadable   = "unreadable"
	CodeNoFile       = "no-scenario-file"
	CodeTooManyFiles = "too-many-files"
	CodeTooLarge     = "too-large"
	CodeCycle        = "scenarios-in-a-circle"

	CodeUnknownFault = "unknown-fault"
	CodeWrongTarget  = "wrong-target"
	CodeOutsideRun   = "outside-the-run"

	CodeUnknownPool     = "unknown-pool"
	CodeUnknownEndpoint = "unknown-endpoint"
	CodeUnknownListener = "unknown-listener"
	CodeUnknownItem     = "unknown-item"
	CodeNoRoute         = "no-route"
	CodeWithoutEffect   = "without-effect"
	CodeNothingExpected = "nothing-expected"
)

// Codes lists every kind of diagnostic, in the order of docs/scenarios.md.
func Codes() []schema.Code {
	refused := func(name, meaning string) schema.Code {
		return schema.Code{Name: name, Meaning: meaning, Severity: schema.SeverityError}
	}
	warned := func(name, meaning string) schema.Code {
		return schema.Code{Name: name, Meaning: meaning, Severity: schema.SeverityWarning}
	}
	common := slices.DeleteFunc(schema.Codes(), func(c schema.Code) bool { return c.Name == schema.CodeRefused }) // all acts
	return slices.Concat([]schema.Code{
		refused(CodeUnreadable, "A file or the directory cannot be read, or is not there."),
		refused(CodeNoFile, "The directory has no *.yaml or *.yml file."),
		refused(CodeTooManyFiles, "The directory has more files than are loaded together."),
		refused(CodeTooLarge, "A file has too many documents."),
		refused(CodeCycle, "A scenario builds on itself, by way of others, or on too many others."),
	}, common, []schema.Code{
		refused(CodeUnknownFault, "An expectation names a fault that is not there, or one that has no such time."),
		refused(CodeWrongTarget, "A fault cannot happen to what it is said to happen to."),
		refused(CodeOutsideRun, "A time is not within the run."),
		refused(CodeUnknownPool, "The policy has no such pool."),
		refused(CodeUnknownEndpoint, "The pool has fewer endpoints, or there are fewer balancers."),
		refused(CodeUnknownListener, "The policy has no such listener."),
		refused(CodeUnknownItem, "The policy has no such item to change."),
		warned(CodeNoRoute, "No route of the policy takes a request: it is answered 404."),
		warned(CodeWithoutEffect, "Something changes nothing with this policy."),
		warned(CodeNothingExpected, "A scenario has no expect: only the invariants are judged."),
	})
}
