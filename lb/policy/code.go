package policy

// Codes of diagnostics. They are stable: metrics and tools rely on them.
const (
	CodeUnreadable   = "unreadable"
	CodeNoFile       = "no-policy-file"
	CodeTooManyFiles = "too-many-files"
	CodeTooLarge     = "too-large"
	CodeTooMany      = "too-many-findings"
	CodeNotUTF8      = "not-utf-8"
	CodeSyntax       = "yaml-syntax"
	CodeEmpty        = "empty"
	CodeAlias        = "alias"
	CodeTag          = "tag"
	CodeMergeKey     = "merge-key"
	CodeBadKey       = "bad-key"
	CodeDuplicateKey = "duplicate-key"
	CodeNull         = "null"
	CodeTooDeep      = "too-deep"

	CodeUnknownField  = "unknown-field"
	CodeMissing       = "missing-field"
	CodeWrongType     = "wrong-type"
	CodeUnknownChoice = "unknown-choice"
	CodeOutOfRange    = "out-of-range"
	CodeBadValue      = "bad-value"
	CodeRefused       = "refused-until-it-acts"

	CodeConflict      = "conflicting-fields"
	CodeDuplicateName = "duplicate-name"
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
type Code struct {
	Name, Meaning string
	Severity      Severity
}

// Codes lists every kind of diagnostic, in the order of docs/policy.md.
func Codes() []Code {
	e, w := SeverityError, SeverityWarning
	return []Code{
		{CodeUnreadable, "A file or the directory cannot be read.", e},
		{CodeNoFile, "The directory has no *.yaml or *.yml file.", e},
		{CodeTooManyFiles, "The directory has more files than a policy may have.", e},
		{CodeTooLarge, "A file, or all files together, are larger than a policy may be.", e},
		{CodeTooMany, "More was found than is shown. It closes the list, as an error after errors and as a warning after warnings.", e},
		{CodeNotUTF8, "A file is not UTF-8 text.", e},
		{CodeSyntax, "A file is not YAML. The position is the line where the mistake is, as far as can be told.", e},
		{CodeEmpty, "A file or a document says nothing.", e},
		{CodeAlias, "An anchor or alias is used. They are not part of the language.", e},
		{CodeTag, "A YAML tag is used. They are not part of the language.", e},
		{CodeMergeKey, "A merge key (<<) is used. They are not part of the language.", e},
		{CodeBadKey, "A key is not plain text.", e},
		{CodeDuplicateKey, "A key is given twice.", e},
		{CodeNull, "A key or list item has no value, or null.", e},
		{CodeTooDeep, "Mappings and lists are nested too deep.", e},
		{CodeUnknownField, "The language has no field of that name at that place.", e},
		{CodeMissing, "A required field is missing.", e},
		{CodeWrongType, "A value has the wrong type.", e},
		{CodeUnknownChoice, "A value is none of those to choose from.", e},
		{CodeOutOfRange, "A number or duration is too small or too large.", e},
		{CodeBadValue, "A value is malformed.", e},
		{CodeRefused, "A field or choice that traffic would rely on does not act yet.", e},
		{CodeConflict, "Two fields contradict each other, or one needs the other.", e},
		{CodeDuplicateName, "Two things of a kind have one name, or one address.", e},
		{CodeUnknownPool, "A route refers to a pool that is not there.", e},
		{CodeOverlap, "Two listeners want the same address and port.", e},
		{CodeCarriers, "Pools of one route carry their sessions in different cookies or headers: a client has one session for all of them.", e},
		{CodeMixedPolicies, "The documents of the directory do not make one policy.", e},
		{CodeNoRoutes, "The policy has no route: every request is answered 404.", w},
		{CodeUnreachable, "No request can reach a route, or one of its matches.", w},
		{CodeUnusedPool, "No route refers to a pool.", w},
		{CodeZeroWeights, "A route's pools, or a pool's endpoints, get no requests, by weight 0 or drain: it answers 503.", w},
		{CodeBreakerInert, "A circuit breaker has no trigger, or nothing counts as a failure.", w},
		{CodeWeakDamping, "Flap damping holds too shortly to end flapping.", w},
		{CodeSessionUnshared, "Sessions are remembered by each replica for itself.", w},
		{CodeSessionPartly, "Some pools of a route have sessions and others have none: a client of those stays in the pool, at no endpoint.", w},
		{CodeSessionReplaced, "Pools of different routes keep their sessions in one cookie, which holds one home: a client loses that of the other pool.", w},
		{CodeRetriesTooLong, "The tries of a request, or the pauses between them, take longer than the request may.", w},
		{CodeWithoutEffect, "A value changes nothing: a smaller limit is reached first, or what it acts on is not there.", w},
	}
}
