package scenario

import (
	"fmt"
	"strconv"
	"strings"

	"go-loadbalancer/lb/schema"
)

// maxIndex is the highest number of an endpoint that can be named.
const maxIndex = 100_000

// String is the target as it is written.
func (t Target) String() string {
	number := strconv.Itoa(t.Index)
	switch {
	case t.Kind == OnEndpoint && t.Index == 0:
		return t.Pool + "/*"
	case t.Kind == OnEndpoint:
		return t.Pool + "/" + number
	case t.Kind == OnBalancer && t.Index > 0:
		return "lb/" + number
	}
	return string(t.Kind)
}

// ParseTarget reads POOL/N, POOL/*, redis, lb, lb/N or policy. The error is for people.
func ParseTarget(s string) (Target, error) {
	pool, number, slash := strings.Cut(s, "/")
	if !slash {
		switch kind := TargetKind(s); kind {
		case OnRedis, OnBalancer, OnPolicy:
			return Target{Kind: kind}, nil
		}
		if complaint := schema.ComplainName(s); complaint != "" {
			return Target{}, notATarget(s)
		}
		return Target{}, fmt.Errorf("%s is not redis, lb or policy, and names no endpoint: write %s/1, the first of a pool in file order, or %s/* for all", schema.Quote(s), s, s)
	}
	t := Target{Kind: OnEndpoint, Pool: pool}
	if pool == "lb" {
		t = Target{Kind: OnBalancer}
	}
	if number == "*" && t.Kind == OnEndpoint && schema.ComplainName(pool) == "" {
		return t, nil
	}
	n, err := strconv.Atoi(number)
	switch {
	case schema.ComplainName(pool) != "":
		return Target{}, notATarget(s)
	case number == "*":
		return Target{}, fmt.Errorf("%s: write lb for all balancers", schema.Quote(s))
	case err == nil && n == 0:
		return Target{}, fmt.Errorf("%s: numbers count from 1", schema.Quote(s))
	case err != nil || n < 1 || n > maxIndex || strconv.Itoa(n) != number:
		return Target{}, notATarget(s)
	}
	t.Index = n
	return t, nil
}

func notATarget(s string) error {
	return fmt.Errorf("%s is nothing that can be named here: write POOL/N, POOL/*, redis, lb, lb/N or policy", schema.Quote(s))
}

// anyTarget is whatever a fault may happen to.
func anyTarget() *schema.Scalar[Target] {
	return schema.Words("POOL/N, POOL/*, redis, lb, lb/N or policy", `^(redis|lb|policy|[A-Za-z0-9._-]+/([1-9][0-9]*|\*))$`,
		func(s string) (Target, string) {
			t, err := ParseTarget(s)
			return t, complaint(err)
		}, func(t Target) any { return schema.PrintText(t.String()) })
}

// oneEndpoint is a single endpoint.
func oneEndpoint() *schema.Scalar[Target] {
	return schema.Words("POOL/N", `^[A-Za-z0-9._-]+/[1-9][0-9]*$`, func(s string) (Target, string) {
		t, err := ParseTarget(s)
		if err == nil && (t.Kind != OnEndpoint || t.Index == 0) {
			return t, schema.Quote(s) + " is not one endpoint: write POOL/N, such as cart/1"
		}
		return t, complaint(err)
	}, func(t Target) any { return schema.PrintText(t.String()) })
}

// oneBalancer is a single balancer.
func oneBalancer() *schema.Scalar[Target] {
	return schema.Words("lb/N", `^lb/[1-9][0-9]*$`, func(s string) (Target, string) {
		t, err := ParseTarget(s)
		if err == nil && (t.Kind != OnBalancer || t.Index == 0) {
			return t, schema.Quote(s) + " is not one balancer: write lb/N, such as lb/1"
		}
		return t, complaint(err)
	}, func(t Target) any { return schema.PrintText(t.String()) })
}

func complaint(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
