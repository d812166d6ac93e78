# make build   make deb   make test   make matrix   make demo   make figures   make bench-flip   make help
#
# The output of each check goes to target/test-logs. A line shows its result, and the whole output follows a failure.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
MAKEFLAGS += --no-print-directory --no-builtin-rules
# haproxy is in sbin, which is not in the PATH of every user.
export PATH := $(PATH):$(or $(CARGO_HOME),$(HOME)/.cargo)/bin:/usr/local/sbin:/usr/sbin:/sbin
export CARGO_TERM_COLOR ?= never

LOGS := target/test-logs
CARGO := cargo
# On a build machine the build fails if the lock file is not as committed.
LOCKED := $(if $(CI),--locked)
# Selects the features that crates have in tests, so that cargo builds no crate twice. There are no examples: --examples
# only makes cargo include the dependencies of tests.
AS_FOR_TESTS := --workspace --examples

# $(call check,LOG,WHAT): runs the variable LOG as a command.
define check
mkdir -p $(LOGS)
if { $($(1)) ; } >$(LOGS)/$(1).log 2>&1 </dev/null; then
    echo "ok   $(2)$$(awk '/^test result:/ { n += $$4 } END { if (n) printf " (%d passed)", n }' $(LOGS)/$(1).log)"
else
    cat $(LOGS)/$(1).log
    echo "FAIL $(2)"
    exit 1
fi
endef
define totals
sed -n '/^\(skipped\|passed alone\): /p' $(LOGS)/*-tests.log
awk '/^test result:/ { p += $$4; f += $$6 } /^skipped: / { s++ }
    END { printf "%d passed, %d failed, %d skipped\n", p, f, s }' $(LOGS)/*-tests.log
endef

fmt-check = $(CARGO) fmt --all --check
clippy = $(CARGO) clippy $(LOCKED) --workspace --all-targets -- -D warnings
tests-built = tests/build
unit-tests = tests/run unit
integration-tests = tests/run integration
doc-tests = $(CARGO) test $(LOCKED) --workspace --doc --no-fail-fast
# All programs but teeter: its documentation would overwrite that of the library, which has the same name.
DOCUMENTED := --bin teeterd --bin lab --bin sim --bin manual
docs = RUSTDOCFLAGS='-D warnings' $(CARGO) doc $(LOCKED) $(AS_FOR_TESTS) --no-deps --lib $(DOCUMENTED)

# The units, with another path of the daemon, which is not installed here.
UNITS := target/test-units
define units
mkdir -p $(UNITS)
cp systemd/teeterd.socket $(UNITS)
sed 's#^ExecStart=[^ ]*#ExecStart=$(CURDIR)/target/debug/teeterd#' systemd/teeterd.service >$(UNITS)/teeterd.service
systemd-analyze verify --man=no --recursive-errors=no $(UNITS)/teeterd.service $(UNITS)/teeterd.socket &&
systemd-analyze security --offline=true --threshold=20 $(UNITS)/teeterd.service
endef

.DEFAULT_GOAL := build
.PHONY: build test lint matrix demo figures bench-flip bench-polling bench-top bench-readers bench-parser drains
.PHONY: bench-verdicts bench-rollbacks bench-size bench-estimates chaos sim transcripts fuzz deb systemd-test audit fmt
.PHONY: deps help
.ONESHELL:

build: ## Build teeter and teeterd for use: target/release
	$(CARGO) build $(LOCKED) --release

# Builds what a bench or a demonstration runs: teeter, teeterd, and the lab with the servers and clients around HAProxy.
built = $(CARGO) build $(LOCKED) --quiet --release -p teeter -p teeter-lab

# $(call cargo-install,CRATE): installs a cargo tool below CARGO_HOME. On a build machine it runs once: no optimization.
cargo-install = { echo "$(firstword $(1)) is missing: cargo install $(firstword $(1))" ; \
    $(CARGO) install --locked --quiet $(if $(CI),--debug) $(1) ; }

# PROFILE=dev makes a package for tests, from the build of `make test`.
PROFILE ?= release
packaged = $(if $(filter dev,$(PROFILE)),$(AS_FOR_TESTS) --bins,--profile $(PROFILE) -p teeter -p teeter-manual)
deb: ## Build a Debian package, with manual pages and completions: target/debian
	@command -v cargo-deb >/dev/null || $(call cargo-install,cargo-deb --version '^3.8')
	$(CARGO) build $(LOCKED) --quiet $(packaged)
	target/$(PROFILE:dev=debug)/manual target/manual
	rm -rf target/debian
	$(CARGO) deb --quiet --no-build --no-dbgsym --profile $(PROFILE) $(if $(filter dev,$(PROFILE)),--fast) \
	    --output target/debian/

# A build machine tries the completions of these shells; elsewhere a test prints that it is skipped.
ifdef CI
test: NEEDED += zsh:zsh fish:fish
endif

# Clippy and the documentation compile beside the tests, with lower priority: the tests mostly wait.
test: deps ## Check everything: format, lints, tests on a real HAProxy, documentation, units
	@rm -f $(LOGS)/*.log
	export TMPDIR=$$(tests/quick-tmp)
	$(call check,fmt-check,format)
	$(call check,tests-built,tests are built)
	nice $(MAKE) lint & beside=$$!
	trap 'kill $$beside 2>/dev/null || true' EXIT
	failed=
	( $(call check,unit-tests,unit tests) ) || failed=1
	( $(call check,integration-tests,integration tests on $$(haproxy -v | head -n 1 | cut -d ' ' -f 1-3)) ) || failed=1
	version=$$(systemd-analyze --version 2>/dev/null | awk 'NR == 1 { print $$2 }' || true)
	if [ "$${version:-0}" -ge 250 ]; then
	    ( $(call check,units,systemd units) ) || failed=1
	else
	    echo "skip systemd units: systemd-analyze 250 or newer is missing"
	fi
	wait $$beside || failed=1
	$(totals)
	[ -z "$$failed" ]

lint: ## Check with clippy, and build the documentation; needs no HAProxy
	@$(call check,clippy,clippy)
	$(call check,doc-tests,documentation tests)
	$(call check,docs,documentation)

SERIES ?=
matrix: deps ## Run the integration tests on HAProxy 2.2, 2.6, 3.0, 3.2 and 3.4, or on SERIES; fetches packages
	@tests/matrix/run $(SERIES)

systemd-test: ## Test the package in a container, on a Debian that boots under systemd; needs root
	@tests/systemd/run

audit: ## Look for withdrawn versions of the crates in Cargo.lock, and for advisories of RustSec
	@tests/supply/audit

demo: deps ## Show a see-saw deploy of four servers behind a real HAProxy, under load
	@$(built)
	target/release/lab demo --bin-dir target/release

figures: deps ## Measure drains, flips, memory and start-up: docs/figures.md explains the results
	@$(built)
	target/release/lab figures --bin-dir target/release

bench-parser: ## Measure how fast teeter and other parsers read HAProxy's tables
	@$(CARGO) bench $(LOCKED) --bench parser

bench-rollbacks: deps ## Measure the errors that clients see until a version that fails is rolled back: docs/figures.md
	@$(built)
	target/release/lab rollbacks --bin-dir target/release

bench-verdicts: ## Measure how often a watch rolls back falsely, and how soon it sees a worse version: docs/figures.md
	@$(CARGO) build $(LOCKED) --quiet --profile sim -p teeter-sim --bin verdicts
	target/sim/verdicts

drains: deps ## Run 2,000 drains under all kinds of traffic, and check that each server was empty
	@$(built)
	target/release/lab drains --bin-dir target/release --count 2000

# libfaketime changes the clock; only this target needs it.
chaos: NEEDED += faketime:faketime
chaos: deps ## Inject faults at each step of each strategy: docs/faults.md lists the assertions
	@$(built)
	export TMPDIR=$$(tests/quick-tmp)
	target/release/lab chaos --bin-dir target/release

# A seed is a farm, a deploy and its faults; the same seed is the same run. A build machine uses the crates of the
# tests, and optimizes the two busy ones only. Elsewhere a long run is worth a build of its own.
SEEDS ?= 2000
BUSY := teeter teeter-sim
ifdef CI
played = $(AS_FOR_TESTS) $(foreach crate,$(BUSY),--config 'profile.dev.package.$(crate).opt-level = 1')
else
played = --profile sim -p teeter-sim
endif
sim: ## Simulate SEEDS deploys, with faults and callers, in simulated time: docs/simulation.md
	@export TMPDIR=$$(tests/quick-tmp)
	$(CARGO) build $(LOCKED) --quiet $(played) --bin sim
	target/$(if $(CI),debug,sim)/sim --seeds $(SEEDS) --shrink

transcripts: deps ## Record the replies of each version of HAProxy again: tests/transcripts
	@for series in 2.2 2.6 3.0 3.2 3.4; do
	    haproxy=$$(tests/matrix/fetch $$series)
	    TEETER_TEST_HAPROXY=$$haproxy $(CARGO) run $(LOCKED) --quiet -p teeter-lab -- transcripts
	done

# Operators query and flip with socat by hand. Only bench-flip and bench-polling need it.
bench-flip: NEEDED += socat:socat
bench-flip: deps ## Compare teeter's ways of flipping with others, under load: target/bench-flip.svg
	@$(built)
	target/release/lab bench-flip --bin-dir target/release

bench-readers: NEEDED += sqlite3:sqlite3
bench-readers: deps ## Measure drains, reloads and memory beside 64 greedy readers of each kind: docs/figures.md
	@$(built)
	target/release/lab readers --bin-dir target/release

bench-size: NEEDED += sqlite3:sqlite3
bench-size: deps ## Measure commands with ten thousand servers and runs, and the room that a year takes in the store
	@$(built)
	target/release/lab scale --bin-dir target/release

bench-estimates: deps ## Compare the estimates of drains with their real ends, in twenty minutes
	@$(built)
	target/release/lab estimates --bin-dir target/release

bench-polling: NEEDED += socat:socat
bench-polling: deps ## Measure what waiting for one server costs HAProxy, with ten servers and with ten thousand
	@$(built)
	target/release/lab polling --bin-dir target/release

bench-top: deps ## Measure what an open `teeter top` costs, with ten servers and with ten thousand
	@$(built)
	target/release/lab top --bin-dir target/release

# Seconds for each target. No sanitizer: there is no unsafe code, and any toolchain works.
FUZZ_SECONDS ?= 60
fuzz: ## Fuzz all code that reads input from outside, a minute each: fuzz/src/lib.rs
	@command -v cargo-fuzz >/dev/null || $(call cargo-install,cargo-fuzz)
	mkdir -p $(LOGS)
	for target in replies chunking commands configuration requests; do
	    mkdir -p fuzz/new/$$target
	    if $(CARGO) fuzz run -s none $$target fuzz/new/$$target fuzz/corpus/$$target -- \
	        -max_total_time=$(FUZZ_SECONDS) -max_len=20000 -timeout=10 >$(LOGS)/fuzz-$$target.log 2>&1
	    then
	        echo "ok   $$target: $$(tail -n 1 $(LOGS)/fuzz-$$target.log)"
	    else
	        tail -n 50 $(LOGS)/fuzz-$$target.log
	        echo "FAIL $$target: move the file in fuzz/artifacts/$$target to fuzz/corpus/$$target, and fix the bug"
	        exit 1
	    fi
	done

fmt: ## Format the sources
	$(CARGO) fmt --all

# Each required command, and Debian's package that has it.
NEEDED := haproxy:haproxy curl:curl cc:gcc
deps: ## Install missing packages for test and demo; prints the commands first
	@if ! command -v $(CARGO) >/dev/null; then
	    echo "cargo is missing: install Rust 1.89 or newer" >&2
	    exit 1
	fi
	tests/deps $(NEEDED)

help: ## Print this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 16
