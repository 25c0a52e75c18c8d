#!/usr/bin/env bash
#
# Builds the guest, the interpreter that every instance holds, to
# target/roh_guest.wasm. Needs cargo and, where neither the wasm32-wasip1 target
# nor rustup's servers are at hand, the sources of Rust's standard library: from
# Debian's archive, or from the folders that these name:
#
#   ROH_RUST_SRC   sources of the standard library of the same version as rustc,
#                  dependencies vendored (as Debian's rust-src holds them)
#   ROH_WASI_LIBC  libc.a, crt1-command.o and crt1-reactor.o for wasm32-wasip1
#                  (as Debian's wasi-libc holds them)
#
# Everything it makes lies under target/, but for counts. Only `rustup target add` touches the
# toolchain, as it would by hand.
#
#   guest/build-guest.sh --setup    makes the wasm32-wasip1 target ready, no more
#   guest/build-guest.sh --lint     has clippy look at the guest, and builds nothing
#   guest/build-guest.sh --profile  counts anew what Python runs how often, for the
#                                  builds after it; takes clang, llvm-profdata and xxd
#   guest/build-guest.sh --plain    builds one without those counts and without an allocator of
#                                  its own beside it, to compare with
#   guest/build-guest.sh [ARG…]     builds the guest; the arguments go to cargo

set -euo pipefail

readonly TARGET=wasm32-wasip1
# Of Debian's suites, those that carry current compilers, the likeliest first.
readonly SUITES=(trixie-backports trixie forky sid)
# In seconds; rustup waits for a dead server far longer than anybody would.
readonly RUSTUP_LIMIT=180
readonly APT_LIMIT=300

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
target_dir=${CARGO_TARGET_DIR:-$root/target}
cargo_home=${CARGO_HOME:-$HOME/.cargo}
private_sysroot=
# Flags for rustc, of a build with counts or of one that makes them.
profiling=()
# The counts that it uses.
unpacked=

say() { printf 'guest: %s\n' "$*" >&2; }

die() {
    say "error: $1"
    shift
    local line
    for line in "$@"; do printf '       %s\n' "$line" >&2; done
    exit 1
}

has() { command -v "$1" >/dev/null 2>&1; }

# Flags for rustc as cargo reads them from its environment, whatever they contain.
encoded() {
    local IFS=$'\x1f'
    printf '%s' "$*"
}

# A folder that is gone when the script ends, however it ends.
scratch=
make_scratch() {
    if [[ -z $scratch ]]; then
        mkdir -p "$target_dir/wasm-sysroot"
        scratch=$(mktemp -d "$target_dir/wasm-sysroot/.unfinished.XXXXXX")
        # apt drops its privileges to read and write in here.
        chmod 755 "$scratch"
        trap 'rm -rf "$scratch"' EXIT
    fi
}

# ---------------------------------------------------------------- the target

target_installed() {
    compgen -G "$1/lib/rustlib/$TARGET/lib/libstd-*.rlib" >/dev/null
}

add_with_rustup() {
    has rustup || return 1
    # A cargo from elsewhere would not see what rustup installs.
    [[ $toolchain == "$(rustup run "${toolchain##*/}" rustc --print sysroot 2>/dev/null)" ]] || return 1
    say "no $TARGET target yet: asking rustup for it (20 MB; given up after $RUSTUP_LIMIT s)"
    timeout "$RUSTUP_LIMIT" rustup target add --toolchain "${toolchain##*/}" "$TARGET" >/dev/null 2>&1 &&
        target_installed "$toolchain"
}

# The mirror that this machine already uses for Debian, or else the public one.
debian_mirror() {
    local mirror
    # shellcheck disable=SC2016  # apt fills it in, not the shell
    mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Identifier: Packages' 2>/dev/null |
        grep -E '^https?://.*/debian/?$' | head -n 1) || true
    printf '%s\n' "${mirror:-http://deb.debian.org/debian}"
}

# Fetches rust-src and wasi-libc with an apt configuration of its own, so that
# nothing is installed and the machine's lists stay as they are. apt verifies the
# archive's signatures as ever.
fetch_from_debian() {
    has apt-get && has dpkg-deb || return 1
    make_scratch
    local apt=$scratch/apt mirror suite keyring=/usr/share/keyrings/debian-archive-keyring.gpg
    mirror=$(debian_mirror)
    say "no rustup that can help: looking for rust-src $version on $mirror (1 minute, 40 MB)"
    for suite in "${SUITES[@]}"; do
        rm -rf "$apt"
        mkdir -p "$apt/lists/partial" "$apt/cache/archives/partial" "$apt/packages"
        : >"$apt/status"
        local signed=
        [[ -r $keyring ]] && signed="[signed-by=$keyring] "
        printf 'deb %s%s %s main\n' "$signed" "$mirror" "$suite" >"$apt/sources.list"
        local options=(
            -qq
            -o "Dir::Etc::SourceList=$apt/sources.list" -o Dir::Etc::SourceParts=/dev/null
            -o "Dir::State::Lists=$apt/lists" -o "Dir::State::status=$apt/status"
            -o "Dir::Cache=$apt/cache" -o Acquire::Languages=none -o Acquire::Retries=2
        )
        timeout "$APT_LIMIT" apt-get "${options[@]}" update >"$apt/log" 2>&1 || continue
        local found
        found=$(apt-cache "${options[@]}" madison rust-src 2>/dev/null |
            awk -F'|' -v wanted="$version+dfsg" \
                '{ gsub(/ /, "", $2); if (index($2, wanted) == 1) { print $2; exit } }')
        [[ -n $found ]] || continue
        say "found rust-src $found in $suite: downloading it and wasi-libc"
        (cd "$apt/packages" &&
            timeout "$APT_LIMIT" apt-get "${options[@]}" download "rust-src=$found" wasi-libc) \
            >"$apt/log" 2>&1 || continue
        local package
        for package in "$apt/packages"/*.deb; do dpkg-deb -x "$package" "$scratch/debian"; done
        rust_src=$scratch/debian
        wasi_libc=$scratch/debian
        return 0
    done
    return 1
}

# Builds the standard library for the target from $rust_src and $wasi_libc into a
# sysroot of our own.
build_sysroot() {
    make_scratch
    local library libc
    # Debian's holds mock ones too, without a lock file or as a test of cargo's.
    library=$rust_src
    if [[ ! -f $library/std/Cargo.toml ]]; then
        library=$(find "$rust_src" -path '*/library/Cargo.lock' -not -path '*/tests/*' -print -quit)
        library=${library%/Cargo.lock}
    fi
    [[ -f $library/std/Cargo.toml ]] || die "no standard library (library/std/Cargo.toml) under $rust_src"
    # wasi-libc comes for several targets; the one with our name in its path, if any is.
    libc=$(find "$wasi_libc" -path "*$TARGET*" -name libc.a -print -quit)
    [[ -n $libc ]] || libc=$(find "$wasi_libc" -name libc.a -print -quit)
    [[ -n $libc ]] || die "no libc.a under $wasi_libc"
    libc=$(dirname "$libc")

    say "building the standard library for $TARGET from source (half a minute)"
    # Cargo looks for the sources inside the sysroot: a stand-in of links to the
    # real one, so that the user's toolchain stays as it is.
    local standin=$scratch/standin
    mkdir -p "$standin/lib/rustlib/src/rust" "$scratch/crate/src"
    ln -s "$toolchain/lib/rustlib/$host" "$standin/lib/rustlib/$host"
    ln -s "$library" "$standin/lib/rustlib/src/rust/library"
    printf '#!/bin/sh\nexec "%s/bin/rustc" --sysroot "%s" "$@"\n' "$toolchain" "$standin" >"$scratch/rustc"
    chmod +x "$scratch/rustc"
    printf '[package]\nname = "nothing"\nversion = "0.0.0"\nedition = "2024"\n[profile.release]\npanic = "abort"\n[workspace]\n' \
        >"$scratch/crate/Cargo.toml"
    printf '#![no_std]\n' >"$scratch/crate/src/lib.rs"
    # With bitcode, or the guest's link-time optimisation could not see into it; and
    # without the names of this machine's folders.
    local flags=(
        -L "native=$libc" -C embed-bitcode=yes
        "--remap-path-prefix=$cargo_home=/cargo"
        "--remap-path-prefix=$scratch=/rust" "--remap-path-prefix=$library=/rust/library"
    )
    (cd "$scratch/crate" &&
        RUSTC=$scratch/rustc RUSTC_BOOTSTRAP=1 CARGO_ENCODED_RUSTFLAGS=$(encoded "${flags[@]}") \
            CARGO_TARGET_DIR=$scratch/crate/target \
            "$toolchain/bin/cargo" build --quiet --release --target "$TARGET" -Zbuild-std=std,panic_abort) ||
        die "the standard library could not be built from $library"

    local made=$scratch/sysroot
    mkdir -p "$made/lib/rustlib/$TARGET/lib/self-contained"
    cp "$scratch/crate/target/$TARGET/release/deps"/*.rlib "$scratch/crate/target/$TARGET/release/deps"/*.rmeta \
        "$made/lib/rustlib/$TARGET/lib/"
    rm -f "$made/lib/rustlib/$TARGET/lib"/libnothing-*
    cp "$libc/libc.a" "$libc/crt1-command.o" "$libc/crt1-reactor.o" \
        "$made/lib/rustlib/$TARGET/lib/self-contained/"
    # Moved into place whole: an interrupted build leaves no half of one.
    rm -rf "$cached_sysroot"
    mv "$made" "$cached_sysroot"
}

ensure_target() {
    if target_installed "$toolchain"; then
        return
    fi
    if ! target_installed "$cached_sysroot"; then
        if [[ -n ${ROH_RUST_SRC:-} ]]; then
            rust_src=$ROH_RUST_SRC
            wasi_libc=${ROH_WASI_LIBC:-$ROH_RUST_SRC}
            say "no $TARGET target yet: taking the sources that ROH_RUST_SRC names"
        elif add_with_rustup; then
            return
        elif ! fetch_from_debian; then
            die "no $TARGET target for rustc $version" \
                "Install it: rustup target add $TARGET" \
                "or name folders that hold what Debian's packages rust-src (of version $version)" \
                "and wasi-libc hold: ROH_RUST_SRC=… ROH_WASI_LIBC=… $0"
        fi
        build_sysroot
    fi
    private_sysroot=$cached_sysroot
}

# ----------------------------------------------------------------- the guest

# Cargo, for the guest: SUBCOMMAND [ARG…]
guest_cargo() {
    local subcommand=$1
    shift
    local flags=(
        -C 'target-feature=+simd128,+bulk-memory'
        # Without the names of this machine's folders. rustc takes the last that fits: the
        # target folder may be anywhere, and mostly is in the root.
        "--remap-path-prefix=$cargo_home=/cargo" "--remap-path-prefix=$root=/roh"
        "--remap-path-prefix=$toolchain=/rust" "--remap-path-prefix=$target_dir=/roh/target"
    )
    if [[ -n $private_sysroot ]]; then flags+=(--sysroot "$private_sysroot"); fi
    flags+=(${profiling[@]+"${profiling[@]}"})
    # RustPython's parser declares a newer rustc than it needs. The flags are for
    # this target only, and stand in for those of the user's own builds.
    (cd "$root" && CARGO_ENCODED_RUSTFLAGS=$(encoded "${flags[@]}") \
        cargo "$subcommand" --locked --ignore-rust-version --profile guest -p roh-guest --target "$TARGET" "$@")
}

lint_guest() {
    say "linting the interpreter (two minutes the first time)"
    guest_cargo clippy -- -D warnings
}

# Has rustc know what Python runs how often, if that was counted with this very rustc: the names of
# functions depend on all that it says of itself, and an older LLVM can't read what a newer one wrote.
use_counts() {
    if [[ ! -f $counts ]]; then
        say "guest/profile has no counts for this rustc ($version, $commit): Python that computes takes a sixth longer"
        return
    fi
    # Cargo looks only at its name, which so says what it holds.
    unpacked=$target_dir/guest-profile/$(cksum <"$counts" | tr ' ' -).profdata
    if [[ ! -f $unpacked ]]; then
        mkdir -p "$target_dir/guest-profile"
        gzip -dc "$counts" >"$unpacked.new"
        mv "$unpacked.new" "$unpacked"
    fi
    profiling=(-C "profile-use=$unpacked" -C symbol-mangling-version=v0)
}

# The names of functions depend on dependencies as well, and on how the standard library was built:
# nothing but this tells that the counts are of others.
check_counts() {
    local crate name
    [[ -n $unpacked ]] || return 0
    for crate in 13rustpython_vm 4core; do
        name=$(grep -aom1 "Cs[0-9A-Za-z]*_$crate" "$target_dir/roh_guest.wasm" | head -n 1) || true
        if [[ -z $name ]] || ! grep -aq "$name" "$unpacked"; then
            say "the counts in guest/profile are of another build of ${crate##*[0-9]}: the interpreter is right, and slower than it could be"
        fi
    done
}

build_guest() {
    use_counts
    say "building the interpreter (4 minutes from nothing on 2 cores, 2 after a change)"
    guest_cargo build "$@"
    put "$target_dir" roh_guest.wasm
    check_counts
}

# Without counts and allocator, for those who want to know what they are good for.
build_plain_guest() {
    local built=$target_dir/guest-plain
    say "building a plain interpreter to compare with (4 minutes from nothing on 2 cores)"
    CARGO_TARGET_DIR=$built guest_cargo build --features plain
    put "$built" roh_guest_plain.wasm
}

# Puts what was built in the folder $1 into target/, as $2.
put() {
    local built=$1/$TARGET/guest/roh_guest.wasm wasm=$target_dir/$2
    # Untouched if it is the same, so that nothing that is made from it looks stale.
    if cmp -s "$built" "$wasm"; then
        say "target/$2 is up to date"
    else
        cp "$built" "$wasm.new"
        mv "$wasm.new" "$wasm"
        say "wrote target/$2, $(wc -c <"$wasm") bytes"
    fi
}

# LLVM's program that merges counts, of the version that rustc has.
profdata() {
    local found
    for found in "$toolchain/lib/rustlib/$host/bin/llvm-profdata" "llvm-profdata-$llvm" llvm-profdata; do
        if has "$found" && "$found" --version | grep -q "LLVM version $llvm\."; then
            printf '%s\n' "$found"
            return
        fi
    done
    return 1
}

# Lowers the counts of the loop over bytecode, roughly in proportion, so that LLVM takes few of its
# calls for hot, and does not put large functions in place of the others. With its own counts, or with
# 64,000 as the highest, the engine keeps little of the loop in registers: see docs/benchmarks.md.
#
# Reads and writes llvm-profdata's text: a function's name, and its numbers between comments.
lower_the_loop() {
    awk -v most=4000 '
        function end_the_loop(  i, low) {
            for (i = 0; i < n; i++) {
                low = highest > most ? int(count[i] * most / highest) : count[i]
                # What ran once at most is cold to LLVM, and this is not.
                print (count[i] > 0 && low < 2) ? 2 : low
            }
            in_loop = n = highest = 0
        }
        in_loop && !/^[0-9]+$/ { end_the_loop() }
        in_loop { count[n++] = $0 + 0; if ($0 + 0 > highest) highest = $0 + 0; next }
        /^[^#]/ && !/^[0-9]+$/ { loop = /14ExecutingFrame(3run|19execute_instruction)$/ }
        { print }
        loop && /^# Counter Values:$/ { in_loop = found = 1 }
        END { if (in_loop) end_the_loop(); exit !found }
    '
}

# Counts what is run how often in the programs of guest/profile, for builds to come.
count_guest() {
    local merge program name made=$target_dir/guest-profile built=$target_dir/guest-profile/build
    merge=$(profdata) || die "no llvm-profdata of rustc's LLVM" \
        "Install it: rustup component add llvm-tools" "or the package llvm of that version"
    has clang || die "no clang, which compiles what counts: install it"
    has xxd || die "no xxd: install it"
    say "building an interpreter that counts (7 minutes on 2 cores)"
    # Nothing is written to the file of that name: minicov is the runtime. And without the targets of
    # indirect calls: counting those faults in wasm.
    profiling=(
        -C profile-generate=unused -Z no-profiler-runtime -C llvm-args=-disable-vp
        -C symbol-mangling-version=v0
    )
    RUSTC_BOOTSTRAP=1 CARGO_TARGET_DIR=$built guest_cargo build --features profile
    say "building a roh that runs it (5 minutes on 2 cores)"
    (cd "$root" && cargo build --locked --release -p roh --features counting-guest --target-dir "$made/host")
    rm -rf "$made/counts"
    mkdir -p "$made/counts"
    for program in "$root"/guest/profile/*.py; do
        name=$(basename "$program" .py)
        say "counting what $name runs"
        ROH_GUEST=$built/$TARGET/guest/roh_guest.wasm ROH_CACHE_DIR=$made/cache \
            "$made/host/release/roh" run "$program" --cpu 60s --wall 120s --memory 1GiB --output 64MiB |
            sed -n 's/^roh-profile: //p' | xxd -r -p >"$made/counts/$name.profraw" ||
            die "$name did not come to its end"
        [[ -s $made/counts/$name.profraw ]] || die "$name printed no counts"
    done
    # What frees objects nests as deep as they do, and takes more of the stack with counts. Our own
    # functions change, and would not fit theirs any more.
    local without='roh_|dealloc|drop_in_place|drop_slow|try_clear|GcState'
    "$merge" merge -sparse -text --no-function="$without" "$made/counts"/*.profraw |
        lower_the_loop >"$made/counts/all.txt" ||
        die "the counts can't be merged, or hold none of ExecutingFrame::run"
    "$merge" merge -sparse -o "$made/counts/all.profdata" "$made/counts/all.txt"
    gzip -9nc "$made/counts/all.profdata" >"$counts.new"
    mv "$counts.new" "$counts"
    say "wrote ${counts#"$root"/}"
}

if ! has cargo || ! has rustc; then die "no cargo: install Rust, see https://rustup.rs"; fi
cd "$root"
# Cargo runs rustc in other folders as well.
[[ $target_dir == /* ]] || target_dir=$root/$target_dir
toolchain=$(rustc --print sysroot)
version=$(rustc -vV | sed -n 's/^release: //p')
host=$(rustc -vV | sed -n 's/^host: //p')
commit=$(rustc -vV | sed -n 's/^commit-hash: //p' | cut -c 1-9)
cached_sysroot=$target_dir/wasm-sysroot/$version-$commit
llvm=$(rustc -vV | sed -n 's/^LLVM version: \([0-9]*\).*/\1/p')
counts=$root/guest/profile/$version-$(rustc -vV | grep -v '^host: ' | cksum | cut -d ' ' -f 1).profdata.gz
ensure_target
case ${1:-} in
    --setup) ;;
    --lint) lint_guest ;;
    --profile) count_guest ;;
    --plain) build_plain_guest ;;
    *) build_guest "$@" ;;
esac
