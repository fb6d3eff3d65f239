# One line for each thing that people do here. `make help` lists them.

PROFILE ?= release
DESTDIR ?=
BUILD := $(or $(CARGO_TARGET_DIR),target)
OUT := $(BUILD)/$(if $(filter dev,$(PROFILE)),debug,$(PROFILE))

help:        ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1	/p' $(MAKEFILE_LIST) | expand -t 14

build:       ## build everything (PROFILE=dev for a quick one)
	cargo build --profile $(PROFILE) --workspace --bins --locked

run:         ## build, start a private instance on loopback port 2525, send mail through it, show what came of it
	@tests/setup build && $(MAKE) -s build PROFILE=$(PROFILE) && tests/demo $(OUT)

test:        ## all tests; installs what they need when root
	@tests/setup test && tests/run

install: build ## lay down DESTDIR as Debian's Postfix is laid out
	@conf/install $(OUT) "$(DESTDIR)"

deb:         ## a Debian package, in the target folder
	@$(MAKE) -s build PROFILE=$(PROFILE) && packaging/deb $(OUT) $(TARGET)

man:         ## the manual pages, into the target folder
	@$(MAKE) -s build PROFILE=$(PROFILE) && rm -rf $(OUT)/man && $(OUT)/posthaste --man $(OUT)/man && $(OUT)/posthasted --man $(OUT)/man && echo $(OUT)/man

features:    ## each row of docs/features.md with its tests, and those without
	@tests/features

parity-fuzz: ## SEED=1 COUNT=100: random sessions and configurations, put to Postfix and to ours; KIND=--messages: random messages; KIND=--servers: random servers (root)
	@$(MAKE) -s install DESTDIR=$(abspath $(BUILD))/tree && tests/parity/fuzz --tree $(abspath $(BUILD))/tree --seed $(or $(SEED),1) --count $(or $(COUNT),100) $(KIND)

fuzz:        ## SECONDS=60 TARGET=smtp_server: libFuzzer on the parsers (nightly Rust, cargo-fuzz)
	@tests/fuzz "$(or $(SECONDS),60)" $(TARGET)

addresses:   ## 5,000 generated addresses (SEED, COUNT) put to Debian's Postfix and to this build, the answers compared (root)
	@$(MAKE) -s install DESTDIR=$(abspath $(BUILD))/tree && ADDRESS_SEED=$(or $(SEED),1) ADDRESS_COUNT=$(or $(COUNT),5000) \
	  tests/parity/parity check --suite tests/system --timeout 1800 --tree $(abspath $(BUILD))/tree addresses

bench:       ## the benchmark beside Debian's Postfix (root)
	@$(MAKE) -s install DESTDIR=$(abspath $(BUILD))/tree && bench/bench --mta postfix --tree $(abspath $(BUILD))/tree $(BENCH)

fmt:         ## format the source
	cargo fmt --all

.PHONY: help build run test install deb man features addresses bench fmt fuzz parity-fuzz
