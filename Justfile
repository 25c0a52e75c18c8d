# What people and machines run here. `just --list` shows it.

# Makes Rust's wasm32-wasip1 target ready: rustup's, or a private one under target/
setup-wasm:
    guest/build-guest.sh --setup

# Builds the interpreter that instances hold, to target/roh_guest.wasm
guest:
    guest/build-guest.sh
