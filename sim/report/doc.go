// Package report is what people and CI see of runs: lines on a terminal, JUnit, JSON,
// Markdown, the annotations of GitHub Actions, and a page that shows who answered, what
// failed and when.
//
//	suite := &report.Suite{Files: os.DirFS(".")}
//	t := report.NewTerminal(os.Stdout, os.Getenv)
//	for _, s := range scenarios {
//		t.Begin(s.Name)
//		run := &report.Run{Scenario: s, …} // play and judge it
//		suite.Runs = append(suite.Runs, run)
//		t.Done(suite, run)
//	}
//	t.Summary(suite)
//	err := errors.Join(
//		report.GitHub(os.Stdout, suite, os.Getenv),
//		report.WriteHTML(page, suite),
//		report.WriteJUnit(junit, suite),
//	)
//
// All that is said of a run is made of its history and of what the judge found; nothing
// is judged here. Names, paths and errors come from scenarios and from what balancers
// and endpoints answered, so they are hostile: in each form they are escaped, control
// characters and what changes the direction of text are made visible, and everything
// that could be long has a bound. JSON alone has them as they are: it is for programs.
package report
