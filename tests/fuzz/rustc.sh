#!/bin/sh
# Stands before rustc and has it instrument what it compiles for libFuzzer: ours alone as
# RUSTC_WORKSPACE_WRAPPER, so that the release build's dependencies serve as they are.
# The flags are those of `cargo fuzz`, and stable as flags of code generation are.
exec "$@" --cfg fuzzing -C debug-assertions=on -C overflow-checks=on \
    -C passes=sancov-module \
    -C llvm-args=-sanitizer-coverage-level=4 \
    -C llvm-args=-sanitizer-coverage-inline-8bit-counters \
    -C llvm-args=-sanitizer-coverage-pc-table \
    -C llvm-args=-sanitizer-coverage-trace-compares
