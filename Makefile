# The checks of a change, one target each; .ci/run runs all of them on a fresh machine.
.PHONY: build test race lint format scripts bench

build:
	go build ./...

test:
	.ci/go-test ./...

race:
	.ci/go-test -race -timeout 20m ./...

lint:
	go vet ./...
	golangci-lint run ./...

format:
	gofumpt -w .

scripts:
	git ls-files -z '*.lua' | xargs -0 luac5.1 -p --
	luacheck --quiet --no-color .
	go run ./cmd/fwx test examples/lua

bench:
	go run ./bench
