package policy

import (
	"slices"

	"go-loadbalancer/lb/schema"
)

// Codes of diagnostics. They are stable: metrics and tools rely on them.
const (
	CodeUnreadable    = "unreadable"
	CodeNoFile        = "no-policy-file"
	CodeTooManyFiles  = "too-many-files"
	CodeTooLarge      = "too-large"
	CodeTooMany       = schema.CodeTooMany
	CodeNotUTF8       = schema.CodeNotUTF8
	CodeSyntax        = schema.CodeSyntax
	CodeEmpty         = schema.CodeEmpty
	CodeAlias         = schema.CodeAlias
	CodeTag           = schema.CodeTag
	CodeMergeKey      = schema.CodeMergeKey
	CodeBadKey        = schema.CodeBadKey
	CodeDuplicateKey  = schema.CodeDuplicateKey
	CodeNull          = schema.CodeNull
	CodeTooDeep       = schema.CodeTooDeep
	CodeUnknownField  = schema.CodeUnknownField
	CodeMissing       = schema.CodeMissing
	CodeWrongType     = schema.CodeWrongType
	CodeUnknownChoice = schema.CodeUnknownChoice
	CodeOutOfRange    = schema.CodeOutOfRange
	CodeBadValue      = schema.CodeBadValue
	CodeRefused       = schema.CodeRefused

	CodeConflict      = schema.CodeConflict
	CodeDuplicateName = schema.CodeDuplicateName
	CodeUnknownPool   = "unknown-pool"
	CodeOverlap       = "overlapping-listeners"
	CodeCarriers      = "session-carriers-differ"
	CodeMixedPolicies = "mixed-policies"

	CodeNoRoutes        = "no-routes"
	CodeUnreachable     = "unreachable-route"
	CodeUnusedPool      = "unused-pool"
	CodeZeroWeights     = "zero-weights"
	CodeBreakerInert    = "breaker-never-trips"
	CodeWeakDamping     = "weak-flap-damping"
	CodeSessionUnshared = "session-store-not-shared"
	CodeSessionPartly   = "pool-without-sessions"
	CodeSessionReplaced = "session-cookie-shared"
	CodeRetriesTooLong  = "retries-exceed-timeout"
	CodeWithoutEffect   = "without-effect"
)

// Code is a kind of diagnostic with what it means.
type Code = schema.Code

// Codes lists every kind of diagnostic, in the order of docs/policy.md.
func Codes() []Code {
	refused := func(name, meaning string) Code { return Code{Name: name, Meaning: meaning, Severity: SeverityError} }
	warned := func(name, meaning string) Code { return Code{Name: name, Meaning: meaning, Severity: SeverityWarning} }
	return slices.Concat([]Code{
		refused(CodeUnreadable, "A file or the directory cannot be read."),
		refused(CodeNoFile, "The directory has no *.yaml or *.yml file."),
		refused(CodeTooManyFiles, "The directory has more files than a policy may have."),
		refused(CodeTooLarge, "A file, or all files together, are larger than a policy may be."),
	}, schema.Codes(), []Code{
		refused(CodeUnknownPool, "A route refers to a pool that is not there."),
		refused(CodeOverlap, "Two listeners want the same address and port."),
		refused(CodeCarriers, "Pools of one route carry their sessions in different cookies or headers: a client has one session for all of them."),
		refused(CodeMixedPolicies, "The documents of the directory do not make one policy."),
		warned(CodeNoRoutes, "The policy has no route: every request is answered 404."),
		warned(CodeUnreachable, "No request can reach a route, or one of its matches."),
		warned(CodeUnusedPool, "No route refers to a pool."),
		warned(CodeZeroWeights, "A route's pools, or a pool's endpoints, get no requests, by weight 0 or drain: it answers 503."),
		warned(CodeBreakerInert, "A circuit breaker has no trigger, or nothing counts as a failure."),
		warned(CodeWeakDamping, "Flap damping holds too shortly to end flapping."),
		warned(CodeSessionUnshared, "Sessions are remembered by each replica for itself."),
		warned(CodeSessionPartly, "Some pools of a route have sessions and others have none: a client of those stays in the pool, at no endpoint."),
		warned(CodeSessionReplaced, "Pools of different routes keep their sessions in one cookie, which holds one home: a client loses that of the other pool."),
		warned(CodeRetriesTooLong, "The tries of a request, or the pauses between them, take longer than the request may."),
		warned(CodeWithoutEffect, "A value changes nothing: a smaller limit is reached first, or what it acts on is not there."),
	})
}
