# For a newcomer: `make run`, then `make test`.

# Where tests leave pictures of the dashboard: a phone, a tablet and a desk, light and dark.
export LB_ARTIFACTS ?= $(CURDIR)/artifacts

STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2

.PHONY: run test lint image fuzz conformance bench soak parity

# Everything set up, and the shop of policies/ served: traffic on :8000, status on :8080.
run:
	go build -o bin/ ./sim
	exec bin/sim demo

# Installs what the tests need and runs all of them.
test: lint
	go test -race -timeout 20m ./...  # the image is built twice, beside everything else
	cd k8s && go test -count=1 .  # it runs what is built above, which the test cache does not see
	go test -run Allocat ./lb/...  # the race detector allocates by itself
	go run ./sim run --mutate scenarios
	go test -count=1 -run Catalogue ./sim/containers  # a minute, judged by figures that a busy machine would not reach
	go test ./lb/impact ./lb/pool ./lb/balancer/outagetest ./lb/app/affinitytest  # what counts very much is less, or nothing, with the race detector

lint:
	.ci/install test
	@unformatted=$$(gofmt -l lb sim bench conformance k8s); test -z "$$unformatted" || { echo "run gofmt -w on: $$unformatted"; exit 1; }
	go mod tidy -diff
	go vet ./...
	shellcheck tester.sh .ci/install .ci/images .ci/run docs/ci/pre-commit
	go run $(STATICCHECK) ./...
	cd k8s && go mod tidy -diff && go vet ./... && go run $(STATICCHECK) ./...

# The container image, on stand-ins for the base images where no registry is reached.
VERSION ?=
image:
	.ci/images golang
	docker build --force-rm --build-arg VERSION=$(VERSION) --build-arg REVISION=$$(git rev-parse HEAD) -t go-loadbalancer:enterprise .

# Every fuzz target in turn, each for FUZZTIME; FUZZ narrows the packages, as in
# `make fuzz FUZZ=./lb/wire FUZZTIME=30s`. A finding stops it and is written to the
# package's testdata/fuzz.
FUZZ     ?= ./...
FUZZTIME ?= 10m
fuzz:
	@list=$$(go test -list '^Fuzz' $(FUZZ)) || { echo "$$list"; exit 1; }; \
	echo "$$list" | awk '/^Fuzz/ {t[++n] = $$1} /^ok/ {for (i = 1; i <= n; i++) print $$2, t[i]; n = 0}' | \
	while read -r package target; do \
		echo "$$package $$target"; \
		nice go test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 100x $$package </dev/null || exit 1; \
	done

# Scenarios in virtual time and on real containers, compared; in real time, so about
# half an hour for all of PARITY. Those of bench/PARITY.md have agreed, away-and-back on a build before; others want an idle machine (a p99 of 13 ms, say).
PARITY ?= $(addprefix scenarios/,$(addsuffix .yaml,all-checks-fail half-open-herd hung-probe bad-policy partial-partition \
	replica-crash black-hole cold-cache scale zombie gray-failure reload-storm redis-failover away-and-back rolling-restart))
parity:
	.ci/install test
	.ci/images
	docker build --force-rm -t go-loadbalancer:enterprise .
	go run ./sim parity $(PARITY)

# CPU per request beside HAProxy and nginx, and what sessions cost; writes bench/RESULTS.md.
# Then what breaker, budget, limits and metrics cost, counted; writes bench/FEATURES.md.
bench:
	.ci/install bench
	go run ./bench
	go run ./bench/features -out bench/FEATURES.md

# Half an hour of honest and hostile clients together; writes bench/SOAK.md.
soak:
	go run ./bench/soak -out bench/SOAK.md

# The corpus of lb/wire/testdata put to lb, HAProxy, nginx and httpd; writes docs/conformance.md.
conformance:
	.ci/install conformance
	go run ./conformance
