package schema

// Codes of diagnostics that every language has. They are stable: metrics and tools
// rely on them.
const (
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
)

// Code is a kind of diagnostic with what it means.
type Code struct {
	Name, Meaning string
	Severity      Severity
}

// Codes lists the kinds of diagnostics that every language has, in the order of its
// reference.
func Codes() []Code {
	e := SeverityError
	return []Code{
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
	}
}
