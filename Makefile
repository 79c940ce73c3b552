# Two commands set everything up: `make run` and `make test`.
.PHONY: run test lint release install setup bench soak

# Installs what is missing (Debian, Ubuntu): libuv's header and library, and curl for the examples.
setup:
	@if ! pkg-config --exists libuv 2>/dev/null || ! command -v curl >/dev/null; then \
	  echo "installing libuv1-dev, pkg-config and curl"; \
	  apt-get update -qq && \
	  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq libuv1-dev pkg-config curl >/dev/null; \
	fi

# The shipped binary: the Swift runtime is linked in; it needs only libuv, libc, libm, libstdc++, libgcc.
release: setup
	swift build -c release --product raftkvd --static-swift-stdlib

# Three nodes on loopback, in the foreground, with data under data/. Ctrl-C stops them.
run: release
	@scripts/run-cluster

test: setup
	swift build --build-tests
	swift test --skip-build

lint:
	swift format lint --recursive --strict Sources Tests Package.swift

# Binary and systemd unit.
install: release
	install -D -m 0755 .build/release/raftkvd $(DESTDIR)/usr/bin/raftkvd
	install -D -m 0644 systemd/raftkvd@.service $(DESTDIR)/lib/systemd/system/raftkvd@.service

# Beside etcd, Redis, nginx and a C server, interleaved; writes Benchmarks/results. FIGURES names some.
bench: release
	Benchmarks/install-peers
	Benchmarks/run $(FIGURES)

# Looks for bugs for so long: seeds, real processes under faults, failpoints, fuzzers, planted bugs.
DURATION ?= 60
soak: setup
	scripts/soak $(DURATION)
