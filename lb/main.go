// Command lb is an HTTP load balancer whose whole behaviour is a directory of
// policy files, which it watches.
//
//	lb run --policies policies
//	lb validate policies
//	lb verify --admin http://lb-admin:8080 --policies policies
//
// What it can do is package command, one file a command. Exit status: 0 all went
// well, 1 it did not, 2 the command line is wrong; of diff, as of diff(1): 0 no
// difference, 1 some, 2 trouble.
package main

import (
	"os"

	"go-loadbalancer/lb/command"
)

func main() { os.Exit(command.Run(os.Args[1:], os.Stdout, os.Stderr)) }
