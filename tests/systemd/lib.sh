# Functions of all checks.

ok() { echo "ok   $*"; }

# wrong TEXT...: prints the text, and fails the check.
wrong() { echo "$*" >&2; exit 1; }

# has PATTERN: whether standard input has the pattern. It reads all of the input, so that the writer does not fail.
has() { [ "$(grep -c -e "$1")" -gt 0 ]; }

# logged PATTERN: whether teeterd has logged the pattern since the boot.
logged() { journalctl --unit teeterd.service --boot --no-pager | has "$1"; }

# as USER COMMAND...: runs a command with that user's groups, and without a terminal.
as() { runuser -u "$1" -- "${@:2}" </dev/null; }

# until_it_holds COMMAND...: repeats a command until it succeeds, for a minute at most.
until_it_holds() {
    for _ in $(seq 600); do
        if "$@" >/tmp/output 2>&1; then return; fi
        sleep 0.1
    done
    wrong "did not succeed within a minute: $*: $(cat /tmp/output)"
}

# admin BACKEND/SERVER: prints the administrative state of the server in HAProxy: 0 means in service.
admin() {
    echo "show servers state ${1%%/*}" | socat -t 5 - /run/haproxy/admin.sock |
        awk -v name="${1##*/}" '$4 == name { print $7 }'
}
is_in() { [ "$(admin "$1")" = 0 ]; }
is_out() { [ "$(admin "$1")" -gt 0 ]; }

# Whether the store has one hold, alice's on web01.
only_alice_holds() {
    teeter holds --json | tr -d ' \n' >/tmp/holds
    [ "$(grep -o '"owner":"[^"]*"' /tmp/holds)" = '"owner":"alice"' ] && grep -q '"reason":"kernel"' /tmp/holds
}

pid_of() { systemctl show --property MainPID --value "$1"; }
# is_new UNIT PID: whether the unit runs with another process.
is_new() { systemctl is-active --quiet "$1" && [ "$(pid_of "$1")" != "$2" ]; }

# version: prints the version that answers through HAProxy.
version() {
    exec 3<>/dev/tcp/127.0.0.1/8080
    printf 'GET / HTTP/1.0\r\n\r\n' >&3
    sed -n 's/^x-version: *\([^\r]*\).*/\1/Ip' <&3
}

# Calls teeter again and again until `calls_end`, which fails if one of the calls failed.
calls_begin() {
    rm -f /tmp/refused
    : >/tmp/answered
    touch /tmp/calling
    while [ -e /tmp/calling ]; do
        if as alice timeout 20 teeter status >/dev/null 2>/tmp/call; then
            echo >>/tmp/answered
        else
            cat /tmp/call >>/tmp/refused
        fi
    done &
    calls=$!
}
calls_end() {
    rm /tmp/calling
    wait $calls
    [ ! -e /tmp/refused ] ||
        wrong "$(wc -l </tmp/answered) calls were answered, and these failed: $(sort /tmp/refused | uniq -c)"
}
