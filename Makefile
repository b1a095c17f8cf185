# `make run` is all one needs to try Minamo, `make test` all one needs before
# a commit. `make help` lists the rest.

VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)

# What the console is built from: not what npm fetches, not what it builds.
CONSOLE := $(shell find web -name node_modules -prune -o -path web/dist -prune -o -type f -print 2>/dev/null)

.DEFAULT_GOAL := help
.PHONY: help run demo build console test fuzz bench screenshots docs clean

# Steps follow one another (install what is missing, then build): keep -j out.
.NOTPARALLEL:

help: ## list what make can do
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 20

run: build ## build everything and start the server, with its data in ./data
	@exec bin/minamo serve --data ./data

demo: build ## a carrier that does not exist, with a day behind it: nothing to set up
	@exec bin/minamo demo --tour

build: toolchain console ## build bin/minamo, console included
	go build -buildvcs=false -ldflags '-X main.version=$(VERSION)' -o bin/minamo ./cmd/minamo

.PHONY: toolchain
toolchain:
	@scripts/toolchain

console: web/dist/index.html

web/dist/index.html: web/node_modules/.package-lock.json $(CONSOLE) | toolchain
	npm --prefix web run build
	@touch $@

web/node_modules/.package-lock.json: web/package-lock.json web/package.json | toolchain
	npm --prefix web ci --no-audit --no-fund
	@touch $@

test: install build ## install what tests need, then run all of them (V=1: say more)
	@scripts/test

.PHONY: install
install:
	@scripts/install

fuzz: ## fuzz every decoder and parser for a while (FUZZTIME=20s each)
	@scripts/fuzz

bench: install build ## speed beside peers in the same run: decoding (goflow2), collecting (nfcapd)
	go -C bench/decode test -bench .
	go run ./bench --minamo bin/minamo

.PHONY: benchday
benchday: install build ## speed of answers over a day of flows, beside nfdump and DuckDB (FLOWS=3000000 DIR=…)
	go run ./bench/day --minamo bin/minamo --flows $(or $(FLOWS),3000000) --dir $(or $(DIR),.cache/day)

.PHONY: benchprobe
benchprobe: install toolchain ## speed of metering packets, beside softflowd
	go run ./bench/probe

screenshots: install build ## pictures of every page of the console, of the demo's data, into DIR=.cache/screenshots
	@scripts/screenshots $(or $(DIR),.cache/screenshots)

docs: ## write the generated parts of docs/ anew
	go generate ./...

clean: ## remove what was built; data stay
	rm -rf bin web/node_modules e2e/browser/node_modules
	find web/dist -mindepth 1 ! -name .keep -delete 2>/dev/null || true
