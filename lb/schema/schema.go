// Package schema reads YAML by a table, and says everything that is wrong with it at
// once: where, with the line and a caret, and what was probably meant. The same table
// gives a language its defaults, its JSON Schema and its reference.
//
//	type shelf struct{ Name string; Books int }
//
//	table := &schema.Object[shelf]{Fields: []schema.Field[shelf]{
//		schema.Required("name", schema.Acts, schema.Name(), func(s *shelf) *string { return &s.Name },
//			"What the shelf is called."),
//		schema.Optional("books", schema.Acts, schema.Integer(0, 100), 10, func(s *shelf) *int { return &s.Books },
//			"How many books it holds."),
//	}}
//	report := &schema.Report{Noun: "shelf"}
//	file, documents := report.Parse("shelf.yaml", text)
//	for _, document := range documents {
//		var s shelf
//		table.Read(&schema.Decoder{Report: report, File: file}, document, &s)
//	}
//	fmt.Print(report.Diagnostics())
//
// The languages are a subset of YAML: mappings, lists and scalars, without anchors,
// aliases, tags, merge keys and nulls. Policies and scenarios are such languages. The
// package is pure; it holds no language, and knows YAML so that they need not.
package schema
