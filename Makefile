# The two commands are `make test` and `make demo`; everything else serves them.
# Debian 12 or 13, git, make, a Rust toolchain, root or sudo.

SHELL := /bin/bash
export CARGO_TARGET_DIR ?= $(HOME)/.cache/mimamori/target
# Tunnels, namespaces and nft need root; building never does.
SUDO := $(shell [ "$$(id -u)" = 0 ] || echo sudo)
export FORM ?= together
export ENGINE ?= sqlite
export STAY ?=
MACHINE ?=

.PHONY: help test test-machine coverage demo lint fmt deps build clean-leftovers bench-gateway scan-gateway scan-screens bench-pki campaign-pki bench-vpn bench-office image image-run image-test

help:
	@echo 'make test   installs what the tests need, builds, runs them all; ends with `N tests run`'
	@echo 'make test-machine   its first part alone: units, tunnel, wall, SSH, commits of the image in a container'
	@echo 'make coverage   which requirements the last `make test` proved; fails when one is lost'
	@echo 'make demo   plays the story from form to revocation in network namespaces; ./target/demo/report.json'
	@echo '            FORM=separated ENGINE=postgres: a process per room, the records on a server'
	@echo 'make demo STAY=1     then leaves the appliance up for a browser; STAY=only leaves the story out'
	@echo 'make bench-pki  certificates and OCSP answers per CPU-second, beside peers; ./target/bench/pki.json'
	@echo 'make campaign-pki  kills the authority 10,000 times, and lets strangers lint 10,000 certificates; PKITS'
	@echo 'make lint   rustfmt --check, clippy -D warnings (and cargo deny where it is installed)'
	@echo 'make fmt    formats'
	@echo 'make bench-vpn      measures boringtun-cli, gotatun, wireguard-go (those found) and ours; ./target/bench/vpn.json'
	@echo 'make bench-gateway  measures nginx, haproxy, caddy (those installed) and ours; ./target/bench/gateway.json'
	@echo 'make bench-office   1,000 forms to bundles and sheets; the office over 5,000 facilities; the yearly fees'
	@echo 'make scan-gateway   a scanner from PyPI and a dated sheet; ./target/scan'
	@echo 'make scan-screens   axe-core (WCAG 2.2 AA) on every page of the browser stories; as root; SCREENS=1 keeps pictures'
	@echo 'make image  Debian 13 + our program -> ./target/image/mimamori.raw, a disk that boots; as root'
	@echo 'make image-run   boots it in an emulated machine, joins one tunnel, prints the SSH line'
	@echo 'make image-test  its root under a real systemd, its disk in an emulated machine, two builds compared'
	@echo 'make deps   installs missing Debian packages, and no others'

deps:
	@tests/setup/deps

build: deps
	@cargo build --locked --workspace --all-targets

test: build
	@$(MAKE) --no-print-directory test-machine
	@tests/setup/run

# The image's root under a real systemd, in a container: a minute once Debian's packages are there, which are
# downloaded for each list of them (image/src/base.rs). MACHINE=no leaves it out, and says so.
QUICK := $(CURDIR)/target/machine
ifeq ($(MACHINE),no)
test-machine:
	@echo 'MACHINE=no: the image was not looked at under a real systemd'
else
test-machine: deps
	@IMAGE=root tests/setup/deps
	@cargo build --locked --workspace --bins
	@echo 'the image under a real systemd'
	@{ $(SUDO) "$(CARGO_TARGET_DIR)/debug/image" root "$(CARGO_TARGET_DIR)/debug/mimamori" \
	     "$(CARGO_TARGET_DIR)/image/base" "$(QUICK)" >/dev/null \
	   && $(SUDO) "$(CARGO_TARGET_DIR)/debug/machine" quick "$(QUICK)"; } || { \
	  echo 'test-machine: failed (see above). It needs the mirror of Debian once, and a systemd-nspawn that may start' >&2; \
	  echo 'containers; where one is missing, MACHINE=no leaves this part out.' >&2; exit 1; }
	@$(SUDO) rm -rf "$(QUICK)"
endif

# What the last `make test` has proved; KEEP=1 writes the list anew.
coverage:
	@[ -s "$(CARGO_TARGET_DIR)/tests.log" ] || $(MAKE) --no-print-directory test
	@cargo build --locked --quiet --package tests --bin coverage
	@"$(CARGO_TARGET_DIR)/debug/coverage" "$(CARGO_TARGET_DIR)/tests.log" $(if $(KEEP),keep)

# The demo needs no test binaries, so it does not wait for them.
demo: deps
	@cargo build --locked --workspace --bins
	@$(SUDO) env FORM=$(FORM) ENGINE=$(ENGINE) STAY=$(STAY) "$(CARGO_TARGET_DIR)/debug/demo"

lint:
	@cargo fmt --all --check
	@cargo clippy --locked --workspace --all-targets -- -D warnings
	@if command -v cargo-deny >/dev/null; then cargo deny --all-features check bans licenses sources; \
	 else echo 'cargo-deny is not installed: deny.toml not checked'; fi

# The authority beside its peers (cfssl, openssl ca) and the arithmetic's limit; ./target/bench/pki.json
bench-pki: deps
	@BENCH=pki tests/setup/deps
	@cargo build --locked --release -p appliance --bin mimamori
	@cargo build --locked --release -p pki --example revoking
	@tests/bench/pki "$(CARGO_TARGET_DIR)/release/mimamori" 5 "$(CARGO_TARGET_DIR)/release/examples/revoking"

# What `make test` does a hundred and two hundred times, ten thousand times; pkilint from PyPI reads along, and
# the path is held against NIST's PKITS. An hour.
# KILLS= and CASES= say otherwise.
campaign-pki: deps
	@BENCH=campaign-pki tests/setup/deps
	@[ -x "$(HOME)/.cache/mimamori/pkilint/bin/lint_pkix_cert" ] || { python3 -m venv "$(HOME)/.cache/mimamori/pkilint" \
	 && "$(HOME)/.cache/mimamori/pkilint/bin/pip" install --quiet pkilint==$(PKILINT); }
	@tests/setup/pkits "$(HOME)/.cache/mimamori/pkits" "$(HOME)/.cache/mimamori/pkilint/bin/python"
	@MIMAMORI_PKITS="$(HOME)/.cache/mimamori/pkits" MIMAMORI_KILLS=$(or $(KILLS),10000) MIMAMORI_LINT_CASES=$(or $(CASES),10000) \
	 MIMAMORI_PKILINT="$(HOME)/.cache/mimamori/pkilint/bin/python" \
	 cargo test --locked -p pki --lib -- --nocapture killed:: strangers:: suites:: 2>&1 | grep -v '^#\|^$$'; exit $${PIPESTATUS[0]}
PKILINT := 0.13.3

fmt:
	@cargo fmt --all

# Our tunnels beside every other server found here. Half an hour, and an idle machine.
bench-vpn: deps
	@BENCH=vpn tests/setup/deps
	@cargo build --locked --release -p appliance --bin mimamori
	@cargo build --locked --release -p vpn --example devices
	@$(SUDO) env CARGO_TARGET_DIR="$(CARGO_TARGET_DIR)" tests/bench-vpn

# Debian's packages are downloaded once for each list of them (image/src/base.rs); the key that signs is made once.
# Both are kept beside the target, the image lies in ./target/image.
IMAGE := $(CURDIR)/target/image
IMAGE_KEPT := $(CARGO_TARGET_DIR)/image
image: deps
	@IMAGE=1 tests/setup/deps
	@cargo build --locked --release -p appliance --bin mimamori
	@cargo build --locked -p image --bin image
	@$(SUDO) "$(CARGO_TARGET_DIR)/debug/image" build "$(CARGO_TARGET_DIR)/release/mimamori" "$(IMAGE_KEPT)/base" "$(IMAGE)"

# Its disk in an emulated machine, with a realm, one device and SSH on 127.0.0.1:2222; Ctrl-C ends it.
image-run:
	@[ -s "$(IMAGE)/mimamori.raw" ] || $(MAKE) --no-print-directory image
	@cargo build --locked --workspace --bins
	@$(SUDO) "$(CARGO_TARGET_DIR)/debug/machine" run "$(IMAGE)"

# A second build elsewhere, under another umask and time zone, must give the same bytes before it is signed.
image-test: image
	@cargo build --locked --workspace --bins
	@echo 'the root under a real systemd'; $(SUDO) "$(CARGO_TARGET_DIR)/debug/machine" inspect "$(IMAGE)"
	@$(SUDO) "$(CARGO_TARGET_DIR)/debug/image" build "$(CARGO_TARGET_DIR)/release/mimamori" "$(IMAGE_KEPT)/base" "$(IMAGE)-next" next >/dev/null
	@echo 'the disk in an emulated machine'; $(SUDO) "$(CARGO_TARGET_DIR)/debug/machine" boot "$(IMAGE)"
	@echo 'Secure Boot and a TPM'; $(SUDO) "$(CARGO_TARGET_DIR)/debug/machine" trust "$(IMAGE)"
	@umask 077; $(SUDO) env TZ=Asia/Tokyo "$(CARGO_TARGET_DIR)/debug/image" build "$(CARGO_TARGET_DIR)/release/mimamori" \
	  "$(IMAGE_KEPT)/base" "$(IMAGE_KEPT)/again" >/dev/null
	@for part in root.erofs root.verity mimamori.unsigned.efi packages.lock sbom.cdx.json; do \
	  $(SUDO) cmp "$(IMAGE)/$$part" "$(IMAGE_KEPT)/again/$$part" || exit 1; done; echo '  holds  two builds are the same, byte for byte'
	@$(SUDO) rm -rf "$(IMAGE_KEPT)/again"

# Namespaces, processes and folders of a run that was killed with SIGKILL.
clean-leftovers:
	@$(SUDO) "$(CARGO_TARGET_DIR)/debug/demo" clean

# The office at its size, in a release build: 1,000 forms of one file to bundles and sheets, and the console's pages over
# 5,000 facilities with 20,000 people.
bench-office:
	@OFFICE_IMPORT=1000 OFFICE_FACILITIES=4900 cargo nextest run --locked --release --package provisioning --no-capture \
	  -E 'test(sqlite::numbers) + test(sqlite::fees::f_the_run_of_ten)' 2>&1 | grep -E 'facilities:|dry_run|Summary|FAIL'

# The peers are whatever Debian has installed: apt-get install nginx haproxy caddy.
bench-gateway:
	@cargo build --locked --release -p gateway --examples
	@"$(CARGO_TARGET_DIR)/release/examples/bench" --out ./target/bench/gateway.json

# The rules of strangers on every page that somebody meets in the browser stories, on a phone and where it is used.
scan-screens: deps
	@BENCH=scan-screens tests/setup/deps
	@tests/setup/axe "$(HOME)/.cache/mimamori/axe"
	@env MIMAMORI_AXE="$(HOME)/.cache/mimamori/axe/axe.min.js" $(if $(SCREENS),SCREENS=1) \
	 cargo test --locked -p tests --test it -- --nocapture --test-threads 1 browser::

scan-gateway:
	@cargo build --locked --release -p gateway --example standalone
	@python3 gateway/scan/run "$(CARGO_TARGET_DIR)/release/examples/standalone" ./target/scan "$(HOME)/.cache/mimamori/sslyze"
