# Two commands set everything up: `make run` and `make test`.
.PHONY: run test lint setup

# Installs libuv's header and library where they are missing (Debian, Ubuntu).
setup:
	@pkg-config --exists libuv 2>/dev/null || (apt-get update -qq && \
	  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq libuv1-dev pkg-config >/dev/null)

test: setup
	swift build --build-tests
	swift test --skip-build

lint:
	swift format lint --recursive --strict Sources Tests Package.swift
