// Package k8s has no code: it is the tests of the Kubernetes manifests beside
// it. It is a module of its own, so that what decodes, builds and judges
// manifests is no dependency of the balancer.
//
//	cd k8s && go test .            # make test does this too
//	cd k8s && go test . -update    # writes deployment.yaml and alerts.yaml anew
package k8s
