# `make` lists the commands. Everything they need is installed or built by them, except root,
# Debian's packages' mirrors, Go, Rust and, for the tests, Node.js and Java.

CARGO   ?= cargo
NAME    ?= dev
# The launcher is there within seconds. It checks what the demo needs, builds the harness under a line of progress, and becomes it.
HARNESS  = $(CARGO) run --quiet --locked --package launcher --bin launcher --

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

# `make scale`: how much there is, how long it is left alone (seconds), and how many workloads with silent pods come then.
OBJECTS ?= 1000
WORKLOADS ?= 1000
NAMESPACES ?= 100
REST ?= 300
SILENT ?= 300

# `make takeover`: the last commit before one controller decided over each Service, with all that it stored.
FROM ?= 2a2eea3

.DEFAULT_GOAL := help
.PHONY: help demo demo-down clean-cache cluster cluster-down images generate test takeover check bench scale fuzz mutants \
	check-format check-clippy check-docs check-deny check-generated

help: ## List the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: ## A login in front of a sample app, on a real cluster (DEMO_CONTEXT=<context>: on yours)
	@command -v $(CARGO) > /dev/null && command -v cc > /dev/null || { \
		echo "The demo can not start yet. Nothing was changed."; \
		command -v $(CARGO) > /dev/null || echo "  - there is no $(CARGO) in PATH: install Rust, with rustup"; \
		command -v cc > /dev/null || echo "  - there is no C compiler (cc) in PATH: apt-get install gcc libc6-dev"; \
		test -n "$(DEMO_CONTEXT)" || command -v go > /dev/null || echo "  - there is no go in PATH: install Go 1.26 or newer"; \
		test -n "$(DEMO_CONTEXT)" || test "$$(id -u)" = 0 || echo "  - a cluster needs root: sudo -E env PATH=\$$PATH make demo"; exit 1; }
	@$(HARNESS) demo up

demo-down: ## Remove the demo and all it left
	@$(HARNESS) demo down

clean-cache: ## Remove what was built and downloaded into the cache outside of this folder; says what else there is
	@if test -n "$$(ls -A $(CACHE)/clusters 2> /dev/null)"; then \
		echo "clusters are there: $$(ls $(CACHE)/clusters | tr '\n' ' ')- first make demo-down, or make cluster-down NAME=<name>"; exit 1; fi
	@for folder in components downloads images tools locks clusters demo; do rm -rf "$(CACHE)/$$folder"; done
	@echo "removed: the folders of $(CACHE)"
	@echo "left, as other programs use them too: cargo clean (this folder's target), go clean -cache -modcache (what Go compiled and downloaded),"
	@echo "apt-get remove containerd runc containernetworking-plugins nftables (the packages of a cluster, if nothing else uses them)"

cluster: ## A one-node Kubernetes, NAME=<name>; prints its KUBECONFIG
	@$(HARNESS) cluster up --name $(NAME)

cluster-down: ## Remove that cluster and all it left
	@$(HARNESS) cluster down --name $(NAME)

test: ## All tests that fit in CI
	@$(HARNESS) packages
	$(CARGO) build --workspace --bins --locked
	RUST_BACKTRACE=0 OAUTH2_PROXY_BIN_DIR=$(CURDIR)/target/debug $(CARGO) test --workspace --locked --no-fail-fast

takeover: ## The operator of today takes over what that of commit FROM=<commit> protects; needs the repository's history
	tests/demo/takeover $(FROM) $(CARGO)

check: check-format check-clippy check-docs check-deny check-generated ## Formatting, lints, docs, licences, generated files

bench: ## The proxy beside nginx and a bare reverse proxy
	@test -x /usr/sbin/nginx -a -x /usr/bin/redis-server || apt-get install --yes --no-install-recommends nginx-light redis-server || \
		{ echo "bench needs nginx and Redis, which take root to install: apt-get install nginx-light redis-server"; exit 1; }
	$(CARGO) build --release --locked --package proxy --bin oauth2-proxy
	$(CARGO) build --release --locked --package bench
	$(CARGO) bench --locked --package proxy --bench request
	target/release/bench target/release/oauth2-proxy

scale: ## The operator beside an API server with OBJECTS=<n> objects and WORKLOADS=<n> workloads
	$(CARGO) build --release --locked --package operator
	$(CARGO) build --locked --package tests --package harness --bins
	OAUTH2_PROXY_BIN_DIR=$(CURDIR)/target/debug target/debug/scale target/release/oauth2-proxy-operator $(OBJECTS) $(WORKLOADS) $(NAMESPACES) $(REST) $(SILENT)

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
