# Every target is one thing that CI or a person runs; .ci/run is the order of CI.
SHELL := /bin/bash
.DEFAULT_GOAL := help

VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
FUZZTIME ?= 30s
FLOOR ?= 85
GOLANGCI_VERSION := v2.15.0
GOLANGCI := .bin/golangci-lint-$(GOLANGCI_VERSION)

.PHONY: build test race cover fuzz bench pgo golden screens pages oracle lint tidy check help

build: ## the static program, ./sipscope
	CGO_ENABLED=0 go build -trimpath -ldflags "-s -w -X main.version=$(VERSION)" -o sipscope ./cmd/sipscope

test: ## all tests
	go test -shuffle=on -timeout 20m ./...

race: ## all tests under the race detector (needs a C compiler)
	CGO_ENABLED=1 go test -race -shuffle=on -timeout 20m ./...

cover: ## coverage of all packages together; fails below FLOOR percent
	go test -coverpkg=./... -coverprofile=cover.out ./...
	@go tool cover -func=cover.out | awk '/^total:/ {print "coverage " $$3; exit ($$3 + 0 < $(FLOOR))}'

fuzz: ## every fuzz target for FUZZTIME
	.ci/fuzz $(FUZZTIME)

bench: ## all benchmarks
	go test -run '^$$' -bench . -benchmem ./...

pgo: ## the profile that builds are optimised by, from a large capture: make pgo CAPTURE=big.pcap
	SIPSCOPE_BENCH=$(abspath $(CAPTURE)) go test -run '^$$' -bench '^BenchmarkLs$$' -benchtime 15x \
	-cpuprofile cmd/sipscope/default.pgo -o /dev/null ./cmd/sipscope

golden: ## write goldens and the captures of testdata/flows anew; read the difference before committing it
	go run ./flowtest/flowpcap -o testdata/pcaps testdata/flows/*.flow
	UPDATE_GOLDEN=1 go test ./...
	@git --no-pager diff --stat

screens: ## the screens of the terminal UI in docs/screens, drawn by the program in tmux
	UPDATE_SCREENS=1 SIPSCOPE_CI=1 go test -count=1 -run TestTmuxStory ./cmd/sipscope
	@git --no-pager diff --stat -- docs/screens

pages: ## reports and live pages in Chromium, with screenshots in .build/screenshots
	SIPSCOPE_SCREENSHOTS=$(CURDIR)/.build/screenshots SIPSCOPE_CI=1 go test -count=1 -run TestBrowser ./cmd/sipscope ./render/html/...

oracle: ## comparisons with peers (tshark, captures beside the checkout); fails when they are missing
	SIPSCOPE_CI=1 go test -count=1 -run 'Oracle|Truth' -v ./...

lint: $(GOLANGCI) ## golangci-lint with .golangci.yml
	$(GOLANGCI) run ./...

$(GOLANGCI):
	GOBIN="$(CURDIR)/.bin" go install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_VERSION)
	mv .bin/golangci-lint $@

tidy: ## go.mod and go.sum say what is used
	go mod tidy -diff

check: ## what CI runs
	.ci/run

help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "%-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
