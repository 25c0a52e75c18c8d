#!/bin/sh
# Makes sure that the tests find RabbitMQ, a C++ compiler for libFuzzer, and a Python with
# pika. Does nothing, fast, where all are there. Starts no service and changes nothing
# outside `target/`, except for Debian's packages, and those only as root.
set -eu
cd "$(dirname "$0")/.."

PIKA=1.3.2
VENV=target/pika

say() { echo "setup: $*" >&2; }
fail() {
    say "$@"
    exit 1
}

# The server's own scripts, not the wrappers on PATH, which insist on a system user.
# tests/rabbit.rs looks in the same places.
find_rabbitmq() {
    for bin in ${ROH_RABBITMQ:+"$ROH_RABBITMQ"} /usr/lib/rabbitmq/bin \
        /usr/lib/rabbitmq/lib/*/sbin /opt/homebrew/sbin /usr/local/sbin; do
        if [ -x "$bin/rabbitmq-server" ]; then
            echo "$bin"
            return
        fi
    done
}

can_apt() { [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; }

# Installs Debian packages without letting them start a service: the tests run their
# own server, on a free port, as an ordinary child process.
apt_install() {
    say "installing $* with apt, starting no service"
    policy=/usr/sbin/policy-rc.d
    ours=no
    if [ ! -e "$policy" ]; then
        ours=yes
        printf '#!/bin/sh\nexit 101\n' >"$policy"
        chmod 755 "$policy"
    fi
    log=$(mktemp)
    status=0
    { apt-get update && DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get install -y \
        --no-install-recommends "$@"; } >"$log" 2>&1 || status=$?
    if [ "$ours" = yes ]; then rm -f "$policy"; fi
    if [ "$status" != 0 ]; then tail -n 20 "$log" >&2; fi
    rm -f "$log"
    return "$status"
}

if [ -z "$(find_rabbitmq)" ]; then
    if can_apt; then
        apt_install rabbitmq-server || fail "apt could not install rabbitmq-server"
    elif command -v brew >/dev/null; then
        fail "RabbitMQ is missing: run \`brew install rabbitmq\`, then this again"
    elif command -v apt-get >/dev/null; then
        fail "RabbitMQ is missing: run \`sudo apt-get install rabbitmq-server\`, then this again"
    else
        fail "RabbitMQ is missing: install it from https://www.rabbitmq.com/docs/download," \
            "or set ROH_RABBITMQ to the folder that holds rabbitmq-server and rabbitmqctl"
    fi
fi
bin=$(find_rabbitmq)
[ -n "$bin" ] || fail "RabbitMQ is installed where it was not expected:" \
    "set ROH_RABBITMQ to the folder that holds rabbitmq-server and rabbitmqctl"
say "RabbitMQ is in $bin"

# As the crate `cc` looks for one.
if ! command -v "${CXX:-c++}" >/dev/null; then
    if can_apt; then
        apt_install g++ || fail "apt could not install g++"
    elif command -v xcode-select >/dev/null; then
        fail "a C++ compiler is missing: run \`xcode-select --install\`, then this again"
    else
        fail "a C++ compiler is missing: install g++ or clang++, or set CXX to yours"
    fi
fi
say "the C++ compiler is ${CXX:-c++}"

# In order: the one that the tests use, a virtual environment, Debian's own package.
has_pika() { [ -x "$(command -v "$1")" ] && "$1" -c 'import pika' 2>/dev/null; }
for python in ${ROH_PYTHON:+"$ROH_PYTHON"} "$VENV/bin/python" /usr/bin/python3; do
    if has_pika "$python"; then
        say "pika is in $python"
        exit 0
    fi
done
command -v python3 >/dev/null || ! can_apt || apt_install python3 || true
command -v python3 >/dev/null || fail "python3 is missing: install Python 3.8 or later"
say "installing pika $PIKA into $VENV"
if python3 -m venv "$VENV" 2>/dev/null &&
    "$VENV/bin/python" -m pip install --quiet --disable-pip-version-check "pika==$PIKA"; then
    say "pika is in $VENV/bin/python"
elif can_apt && apt_install python3-pika && has_pika /usr/bin/python3; then
    say "pika is in /usr/bin/python3"
else
    fail "pika is missing: run \`python3 -m pip install pika==$PIKA\` in an environment of" \
        "your own and set ROH_PYTHON to its python"
fi
