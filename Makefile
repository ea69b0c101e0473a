# make test is what must pass before a change lands. On Debian as root it first
# installs the programs that it needs; elsewhere it says which are missing and
# skips the tests that want them.

SHELL := /bin/bash

# Clients from npm go here, outside the tree.
export POSTROOM_NPM ?= $(or $(HOME),/tmp)/.cache/postroom-npm
# require: a test with a real client that cannot run fails. run: it is skipped.
INTEROP ?= $(if $(CI),require,run)
# How long each storm of make storm lasts, and make fuzz on each target.
STORM ?= 10m
FUZZTIME ?= 1m

.PHONY: bench crash test build check unit interop reference clients storm fuzz

test: clients check unit interop

build:
	CGO_ENABLED=0 go build -trimpath -o postroom ./cmd/postroom

check:
	@out=$$(gofmt -l .); if [ -n "$$out" ]; then echo "gofmt -w is wanted by:"; echo "$$out"; exit 1; fi
	go vet ./...
	go tool -modfile=tools/go.mod staticcheck ./...

unit:
	go test -race -timeout 15m ./...

# Real mail programs against the real binary; see internal/interop.
interop:
	cd internal/interop && POSTROOM_INTEROP=$(INTEROP) go test -race -count=1 -timeout 20m -v

# The same against Debian's Dovecot: proves the tests, not the server.
reference: clients
	cd internal/interop && POSTROOM_INTEROP=$(INTEROP) go test -count=1 -timeout 20m -v -server dovecot

clients:
	@.ci/clients

# Kills, failing calls and power cuts at every call that writes; see internal/crash. Takes half an hour.
crash:
	go test ./internal/crash -count=1 -timeout 0 -v -whole

storm:
	go test ./maildir ./internal/storm -run 'Storm|Servers|Dovecot' -parallel 8 -count=1 -timeout 0 -v -storm=$(STORM)

# Each fuzz target of each package, one after the other.
fuzz:
	@set -e; for p in $$(go list ./...); do \
		for f in $$(go test -list '^Fuzz' $$p | grep '^Fuzz' || true); do \
			echo "== $$p $$f"; \
			go test -run '^$$' -fuzz "^$$f\$$" -fuzztime $(FUZZTIME) $$p; \
		done; \
	done

# Side by side with Debian's Dovecot, as root; BENCH is flags, such as --quick,
# --only fetch or --json. See internal/bench.
BENCH ?=
bench:
	go run ./internal/bench $(BENCH)
