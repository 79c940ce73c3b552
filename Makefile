# Two commands set everything up: `make run` and `make test`.
.PHONY: run test lint release install deb test-package setup setup-deb \
  setup-package-tests bench microbench allocations soak sim

PREFIX ?= /usr/local
SYSCONFDIR ?= /etc
UNITDIR ?= $(PREFIX)/lib/systemd/system
ZSHDIR ?= $(PREFIX)/share/zsh/site-functions
FISHDIR ?= $(PREFIX)/share/fish/vendor_completions.d
DOCDIR = $(PREFIX)/share/doc/raftkvd
BINARY = .build/release/raftkvd

# Installs what is missing (Debian, Ubuntu): libuv's header and library, and curl for the examples.
setup:
	@if ! pkg-config --exists libuv 2>/dev/null || ! command -v curl >/dev/null; then \
	  echo "installing libuv1-dev, pkg-config and curl"; \
	  apt-get update -qq && \
	  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq libuv1-dev pkg-config curl >/dev/null; \
	fi

# What the package is built and judged with.
setup-deb: setup
	@if ! command -v dpkg-shlibdeps >/dev/null || ! command -v lintian >/dev/null; then \
	  echo "installing dpkg-dev and lintian"; \
	  apt-get update -qq && \
	  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
	    dpkg-dev lintian >/dev/null; \
	fi

# What the package is tried with, and what judges units, man page and alert rules in `make test`.
setup-package-tests: setup-deb
	@if ! command -v mmdebstrap >/dev/null || ! command -v systemd-nspawn >/dev/null || \
	  ! command -v systemd-analyze >/dev/null || ! command -v mandoc >/dev/null; then \
	  echo "installing mmdebstrap, systemd-container and mandoc"; \
	  apt-get update -qq && \
	  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
	    mmdebstrap systemd systemd-container mandoc >/dev/null; \
	fi

# The shipped binary: the Swift runtime is linked in; it needs only libuv, libc, libm, libstdc++ and
# libgcc. SWIFTFLAGS adds flags.
release: setup
	swift build -c release --product raftkvd --static-swift-stdlib --disable-local-rpath $(SWIFTFLAGS)

# Three nodes on loopback, in the foreground, with data under data/. Ctrl-C stops them.
run: release
	@scripts/run-cluster

test: setup
	swift build --build-tests
	swift test --skip-build --skip AllocationTests
	$(MAKE) allocations
	$(MAKE) sim

# What a request allocates, counted in the shipped binary.
allocations: release
	RELEASE_BINARY=$(CURDIR)/$(BINARY) swift test --filter AllocationTests

# The simulator: every failure there ever was, then SEEDS others from FROM, in JOBS processes; and a few
# that must take the same course in debug and in release. Built as the shipped binary is, so that
# whoever builds both compiles once.
SEEDS ?= 500
FROM ?= 1
JOBS ?= $(shell nproc)
sim: setup
	swift build --product raftkv-sim
	swift build -c release --product raftkv-sim --static-swift-stdlib --disable-local-rpath \
	  $(SWIFTFLAGS)
	.build/release/raftkv-sim --regress Tests/regress.txt --jobs $(JOBS)
	.build/release/raftkv-sim --seeds $(SEEDS) --from $(FROM) --jobs $(JOBS)
	scripts/same-trace 1 2 3

lint:
	swift format lint --recursive --strict Sources Tests Benchmarks/Micro Package.swift

# Everything a host needs, under $(DESTDIR): as a user, `make release && sudo make install`. A
# configuration that is there already stays.
install: release
	install -D -m 0755 -s $(BINARY) $(DESTDIR)$(PREFIX)/bin/raftkvd
	install -d $(DESTDIR)$(UNITDIR) $(DESTDIR)$(ZSHDIR) $(DESTDIR)$(FISHDIR) \
	  $(DESTDIR)$(PREFIX)/share/bash-completion/completions
	for unit in raftkvd.service raftkvd@.service; do \
	  sed -e 's|/usr/bin/|$(PREFIX)/bin/|; s|/etc/|$(SYSCONFDIR)/|' packaging/$$unit \
	    > $(DESTDIR)$(UNITDIR)/$$unit; \
	done
	[ -e $(DESTDIR)$(SYSCONFDIR)/raftkvd/raftkvd.conf ] || \
	  install -D -m 0644 packaging/raftkvd.conf $(DESTDIR)$(SYSCONFDIR)/raftkvd/raftkvd.conf
	[ -e $(DESTDIR)$(SYSCONFDIR)/default/raftkvd ] || \
	  install -D -m 0644 packaging/raftkvd.default $(DESTDIR)$(SYSCONFDIR)/default/raftkvd
	install -D -m 0644 packaging/raftkvd.8 $(DESTDIR)$(PREFIX)/share/man/man8/raftkvd.8
	install -D -m 0644 -t $(DESTDIR)$(DOCDIR) README.md docs/operations.md
	install -D -m 0644 -t $(DESTDIR)$(DOCDIR)/examples \
	  packaging/alerts.yml packaging/grafana-dashboard.json
	$(BINARY) --generate-completion-script bash | sed 1d \
	  > $(DESTDIR)$(PREFIX)/share/bash-completion/completions/raftkvd
	$(BINARY) --generate-completion-script zsh > $(DESTDIR)$(ZSHDIR)/_raftkvd
	$(BINARY) --generate-completion-script fish > $(DESTDIR)$(FISHDIR)/raftkvd.fish

# The Debian package, as .build/raftkvd_VERSION_ARCHITECTURE.deb.
deb: setup-deb release
	@scripts/make-deb

# The package in clean systems of its own: scripts/test-package says what is tried. Needs root.
test-package: setup-package-tests deb
	scripts/test-package

# Beside etcd, Redis, nginx and a C server, interleaved; writes Benchmarks/results. FIGURES names
# some.
bench: release
	Benchmarks/install-peers
	Benchmarks/run $(FIGURES)

# The parts of a request, timed one by one. NAME picks some.
microbench: setup
	swift build -c release --product raftkv-bench --static-swift-stdlib --disable-local-rpath
	.build/release/raftkv-bench $(NAME)

# Looks for bugs for so long: seeds, real processes under faults, failpoints, fuzzers, planted bugs.
DURATION ?= 60
soak: setup
	scripts/soak $(DURATION)
