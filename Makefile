# `make` lists the commands. Everything they need is installed or built by them, except root,
# Debian's packages' mirrors, Go, Rust, Node.js and Java.

CARGO   ?= cargo
NAME    ?= dev
HARNESS  = $(CARGO) run --quiet --locked --package harness --bin harness --

# Versions of the tools that `make check` installs into the cache.
CARGO_DENY_VERSION = 0.20.2
CARGO_FUZZ_VERSION = 0.13.2
CARGO_MUTANTS_VERSION = 27.1.0
CACHE ?= $(or $(OAUTH2_PROXY_OPERATOR_CACHE),$(or $(XDG_CACHE_HOME),$(HOME)/.cache)/oauth2-proxy-operator)
CARGO_DENY = $(CACHE)/tools/cargo-deny-$(CARGO_DENY_VERSION)/bin/cargo-deny
CARGO_FUZZ = $(CACHE)/tools/cargo-fuzz-$(CARGO_FUZZ_VERSION)/bin/cargo-fuzz
CARGO_MUTANTS = $(CACHE)/tools/cargo-mutants-$(CARGO_MUTANTS_VERSION)/bin/cargo-mutants

# `make fuzz` and `make mutants`: how long each target runs, how many do so at a time, which sample is taken and how large it is.
SECONDS ?= 60
JOBS ?= 2
SEED ?= 1
COUNT ?= 30

.DEFAULT_GOAL := help
.PHONY: help demo demo-down cluster cluster-down images generate test check bench fuzz mutants \
	check-format check-clippy check-docs check-deny check-generated

help: ## List the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: ## A login in front of a sample app, on a real cluster (DEMO_CONTEXT=<context>: on yours)
	@echo "building the harness"
	@$(HARNESS) demo up

demo-down: ## Remove the demo and all it left
	@$(HARNESS) demo down

cluster: ## A one-node Kubernetes, NAME=<name>; prints its KUBECONFIG
	@$(HARNESS) cluster up --name $(NAME)

cluster-down: ## Remove that cluster and all it left
	@$(HARNESS) cluster down --name $(NAME)

test: ## All tests that fit in CI
	@$(HARNESS) packages
	$(CARGO) build --workspace --bins --locked
	RUST_BACKTRACE=0 OAUTH2_PROXY_BIN_DIR=$(CURDIR)/target/debug $(CARGO) test --workspace --locked --no-fail-fast

check: check-format check-clippy check-docs check-deny check-generated ## Formatting, lints, docs, licences, generated files

bench: ## The proxy beside nginx and a bare reverse proxy
	@test -x /usr/sbin/nginx -a -x /usr/bin/redis-server || apt-get install --yes --no-install-recommends nginx-light redis-server || \
		{ echo "bench needs nginx and Redis, which take root to install: apt-get install nginx-light redis-server"; exit 1; }
	$(CARGO) build --release --locked --package proxy --bin oauth2-proxy
	$(CARGO) build --release --locked --package bench
	$(CARGO) bench --locked --package proxy --bench request
	target/release/bench target/release/oauth2-proxy

fuzz: $(CARGO_FUZZ) ## Every parser that faces strangers under libFuzzer, SECONDS=<n> each
	tests/fuzz/run $(CARGO_FUZZ) $(SECONDS) $(JOBS)

mutants: $(CARGO_MUTANTS) ## COUNT=<n> changes of what protects, chosen by SEED=<n>: do the tests notice?
	tests/mutants $(CARGO_MUTANTS) $(SEED) $(COUNT)

images: ## Images of the programs in target/images, for ctr, docker and podman to load
	@$(HARNESS) images

generate: ## Write the generated files anew
	$(CARGO) run --quiet --locked --package crds --bin generate
	$(CARGO) run --quiet --locked --package proxy-config --example schema
	$(CARGO) run --quiet --locked --package proxy --example options

check-format:
	$(CARGO) fmt --all --check

check-clippy:
	$(CARGO) clippy --workspace --all-targets --locked -- --deny warnings

check-docs:
	RUSTDOCFLAGS="--deny warnings" $(CARGO) doc --workspace --no-deps --locked --document-private-items

check-deny: $(CARGO_DENY)
	$(CARGO_DENY) --config .deny.toml --locked check licenses bans sources
	@if $(CARGO_DENY) --config .deny.toml fetch db; then \
		$(CARGO_DENY) --config .deny.toml --locked --offline check advisories; \
	else \
		echo "WARNING: NOT CHECKED: the database of advisories can not be reached, so known faults of dependencies go unnoticed"; \
	fi

check-generated:
	$(CARGO) run --quiet --locked --package crds --bin generate -- --check
	$(CARGO) test --quiet --locked --package proxy --package proxy-config --lib is_fresh

$(CARGO_FUZZ):
	$(CARGO) install --locked --quiet --root $(CACHE)/tools/cargo-fuzz-$(CARGO_FUZZ_VERSION) cargo-fuzz@$(CARGO_FUZZ_VERSION)

$(CARGO_MUTANTS):
	$(CARGO) install --locked --quiet --root $(CACHE)/tools/cargo-mutants-$(CARGO_MUTANTS_VERSION) cargo-mutants@$(CARGO_MUTANTS_VERSION)

$(CARGO_DENY):
	$(CARGO) install --locked --quiet --root $(CACHE)/tools/cargo-deny-$(CARGO_DENY_VERSION) cargo-deny@$(CARGO_DENY_VERSION)
