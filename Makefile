# What a newcomer needs: `make run`, then `make test`.

.PHONY: run test lint bench

run: ; go run ./sim demo

test: lint ; go test -race ./...

lint:
	@fmt=$$(gofmt -l $$(git ls-files '*.go')); test -z "$$fmt" || { echo "gofmt would change: $$fmt"; exit 1; }
	go vet ./...

bench: ; go run ./bench
