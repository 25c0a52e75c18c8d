#!/bin/sh
# Runs fuzz targets that `just fuzz` has built: their kept corpora once, then new inputs for
# so many seconds each.
#
#   tests/fuzz/run.sh TARGET|all SECONDS    new inputs that reach more stay in target/fuzz/
#   tests/fuzz/run.sh TARGET|all keep       keeps the fewest of both that reach as much
set -eu
cd "$(dirname "$0")/../.."
what=$1
seconds=$2
out=${CARGO_TARGET_DIR:-target}

# Rust's allocations are bounded more closely, by each target for each input: lib.rs.
bounds="-timeout=60 -rss_limit_mb=512"

keep() {
    merged=$(mktemp -d)
    # shellcheck disable=SC2086
    "$out/release/fuzz-$1" $bounds -set_cover_merge=1 -use_counters=0 "$merged" "tests/fuzz/corpus/$1" "$out/fuzz/$1" \
        >"$out/fuzz/$1.log" 2>&1 || { tail -n 20 "$out/fuzz/$1.log" >&2; exit 1; }
    rm -rf "tests/fuzz/corpus/$1" "$out/fuzz/$1"
    mkdir -p "tests/fuzz/corpus/$1" "$out/fuzz/$1"
    cp "$merged"/* "tests/fuzz/corpus/$1"
    rm -rf "$merged"
    echo "fuzz: $1: kept $(find "tests/fuzz/corpus/$1" -type f | wc -l) inputs" >&2
}

fuzz() {
    log=$out/fuzz/$1.log
    dictionary=tests/fuzz/targets/$1.dict
    if [ -e "$dictionary" ]; then set -- "$1" "-dict=$dictionary"; fi
    target=$1
    shift
    # shellcheck disable=SC2086
    if "$out/release/fuzz-$target" $bounds "$@" -max_total_time="$seconds" -print_final_stats=1 \
        -artifact_prefix="$out/fuzz/$target-" "$out/fuzz/$target" "tests/fuzz/corpus/$target" \
        >"$log" 2>&1; then
        seed=$(sed -n 's/^INFO: Seed: //p' "$log")
        echo "fuzz: $target: seed $seed, $(sed -n 's/^#\([0-9]*\).*DONE *\(cov: .*\) lim.*/\1 runs, \2/p' "$log")" >&2
        return
    fi
    # The end of it without the inputs that went well, and without that input in bytes.
    grep -v -e '^#' -e '^0x' "$log" | tail -n 60 >&2
    found=$(sed -n 's/.*Test unit written to //p' "$log")
    echo "fuzz: $target FAILED; run it once more, once built: $out/release/fuzz-$target $found" >&2
    exit 1
}

if [ "$what" = all ]; then
    targets=$(cd tests/fuzz/targets && echo *.rs | sed 's/\.rs//g')
else
    targets=$what
fi
for target in $targets; do
    mkdir -p "$out/fuzz/$target"
    if [ "$seconds" = keep ]; then keep "$target"; else fuzz "$target"; fi
done
