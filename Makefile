# For a newcomer: `make run`, then `make test`.

STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2

.PHONY: run test lint bench soak

# Everything set up, and the shop of policies/ served: traffic on :8000, status on :8080.
run:
	go build -o bin/ ./sim
	exec bin/sim demo

# Installs what the tests need and runs all of them.
test: lint
	go test -race ./...
	go test -run Allocat ./lb/...  # the race detector allocates by itself

lint:
	.ci/install test
	@unformatted=$$(gofmt -l lb sim bench); test -z "$$unformatted" || { echo "run gofmt -w on: $$unformatted"; exit 1; }
	go mod tidy -diff
	go vet ./...
	go run $(STATICCHECK) ./...

# CPU per request beside HAProxy and nginx; writes bench/RESULTS.md.
bench:
	.ci/install bench
	go run ./bench

# Half an hour of honest and hostile clients together; writes bench/SOAK.md.
soak:
	go run ./bench/soak -out bench/SOAK.md
