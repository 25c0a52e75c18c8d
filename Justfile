# What people and machines run here. `just` alone lists it.

set shell := ["bash", "-euo", "pipefail", "-c"]

target := env("CARGO_TARGET_DIR", "target")
roh := target / "release/roh"

# All that runs on the host. Built in one call, so that it shares its dependencies.
ours := "-p roh -p roh-publisher -p roh-tests"

# Lists the recipes
default:
    @just --list

# Installs what tests and demo need beside cargo: RabbitMQ, a C++ compiler, a Python with pika
setup:
    tests/setup.sh

# Makes Rust's wasm32-wasip1 target ready: rustup's, or a private one under target/
setup-wasm:
    guest/build-guest.sh --setup

# Builds the interpreter that instances hold (5 minutes the first time)
guest:
    guest/build-guest.sh

# Counts anew what Python runs how often, for guests to come (15 minutes; takes clang, llvm-profdata and xxd)
profile:
    guest/build-guest.sh --profile

# Compiles roh (5 minutes the first time)
host:
    @echo "host: compiling roh, the tests and the examples" >&2
    cargo build --release --locked {{ ours }}

# Both at once: each leaves a core idle for minutes.
[parallel]
[private]
parts: guest host

# Builds roh and its interpreter image (10 minutes the first time)
build: parts
    @echo "build: the interpreter image (half a minute the first time)" >&2
    {{ roh }} image build

# Shows ROH at work: a private RabbitMQ, a daemon, a mix of tasks, what became of each
demo: setup build
    {{ target }}/release/roh-demo

# Runs a node with a configuration of yours
serve config: build
    {{ roh }} serve --config {{ config }}

# Checks format, lints, docs and dependencies, and what stands in for `roh` outside
check: deny standin
    cargo fmt --all --check
    cargo clippy --locked --all-targets -p roh-abi -p roh-heap {{ ours }} -- -D warnings
    guest/build-guest.sh --lint
    RUSTDOCFLAGS="-D warnings" cargo doc --locked --no-deps --document-private-items -p roh-abi -p roh-heap -p roh
    cargo clippy --locked -p roh -p roh-fuzz -- -D warnings --cfg fuzzing
    cargo clippy --locked -p roh --features counting-guest -- -D warnings

# Checks what ROH is built from: licences, sources, known holes (installing cargo-deny takes 3 minutes, once)
deny:
    @command -v cargo-deny >/dev/null || cargo install --locked cargo-deny@0.20.2
    cargo deny --locked --log-level error check --show-stats bans licenses sources
    @if cargo deny --locked fetch db; then \
        set -x; cargo deny --locked --log-level error check --show-stats advisories; \
    else \
        echo "deny: KNOWN HOLES WERE NOT LOOKED FOR: the advisory database can't be fetched" >&2; \
    fi

# Runs the tests of what scripts import outside of ROH, with a Python of this machine
[private]
standin:
    @command -v "${ROH_PYTHON:-python3}" >/dev/null || tests/setup.sh
    PYTHONPATH=guest/standin "${ROH_PYTHON:-python3}" -m unittest test_roh

# Runs every test, the end-to-end ones against a private RabbitMQ (20 minutes the first time)
test: setup build
    @echo "test: unit tests (compiling them takes 3 minutes the first time)" >&2
    cargo test --release --locked -p roh-abi -p roh-heap -p roh
    @echo "test: end-to-end tests" >&2
    cargo test --release --locked -p roh-tests

# Fuzzes all that reads what others wrote, each target for so many seconds, or one: `just fuzz config 1800`
fuzz target="all" seconds="10": setup
    RUSTC_WORKSPACE_WRAPPER="{{ justfile_directory() }}/tests/fuzz/rustc.sh" \
        cargo build --release --locked {{ ours }} -p roh-fuzz --features roh-fuzz/libfuzzer --bin 'fuzz-*'
    tests/fuzz/run.sh {{ target }} {{ seconds }}

# Measures ROH beside Celery, as work grows, and at computing; writes docs/benchmarks.json and plots (25 minutes; `just bench quick` only prints: 2)
bench extent="full": setup build
    @{{ if extent =~ "full|cpu" { "guest/build-guest.sh --plain" } else { "true" } }}
    {{ target }}/release/roh-bench {{ extent }} {{ if extent == "full" { "--to docs" } else { "" } }}

# Measures the parts of a task's way by themselves, and says what changed since the last time (2 minutes)
bench-parts: setup build
    cargo bench --locked -p roh-tests --bench parts

# Measures what the second wall adds to a task, through a node and by itself (5 minutes)
bench-wall: setup build
    {{ target }}/release/roh-bench wall
    {{ target }}/release/roh-bench-wall

# What CI runs
ci: check (fuzz "all" "5") test
