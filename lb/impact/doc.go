// Package impact says what a change of policy does to the traffic: which requests go
// elsewhere, which sessions move, how many tries a request may cost, what is looser and
// what tighter, and what a reload keeps.
//
//	report, err := impact.Of(old, new) // two policies as policy.Files.Read returns them
//	if err != nil {
//		return err
//	}
//	report.WriteText(os.Stdout)
//
// What can be asked of the code that serves is asked of it: requests are matched by the
// snapshots of both policies, sessions and keys are sent through their pools, and the
// counts of a reload are those of one that is made, with endpoints that nobody connects
// to. Nothing is opened, and nothing outlives the call.
package impact
