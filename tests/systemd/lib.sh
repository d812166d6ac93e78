# What the checks have in common.

ok() { echo "ok   $*"; }

# wrong WHAT...: says so, and ends the check.
wrong() { echo "$*" >&2; exit 1; }

# has PATTERN: whether it is in standard input, all of which is read: who writes it must not fail.
has() { [ "$(grep -c -e "$1")" -gt 0 ]; }

# logged PATTERN: whether teeterd has said that since the machine is up.
logged() { journalctl --unit teeterd.service --boot --no-pager | has "$1"; }

# as USER COMMAND...: with that user's groups, and without a terminal.
as() { runuser -u "$1" -- "${@:2}" </dev/null; }

# until_it_holds COMMAND...: tries it until it succeeds, a minute at most.
until_it_holds() {
    for _ in $(seq 600); do
        if "$@" >/tmp/said 2>&1; then return; fi
        sleep 0.1
    done
    wrong "not so within a minute: $*: $(cat /tmp/said)"
}

# admin ENTRY: what HAProxy itself has as the server's administrative state: 0 where it is in.
admin() {
    echo "show servers state ${1%%/*}" | socat -t 5 - /run/haproxy/admin.sock |
        awk -v name="${1##*/}" '$4 == name { print $7 }'
}
is_in() { [ "$(admin "$1")" = 0 ]; }
is_out() { [ "$(admin "$1")" -gt 0 ]; }

# The store's record of who has web01 out, and nobody else.
only_alice_holds() {
    teeter holds --json | tr -d ' \n' >/tmp/holds
    [ "$(grep -o '"owner":"[^"]*"' /tmp/holds)" = '"owner":"alice"' ] && grep -q '"reason":"kernel"' /tmp/holds
}

pid_of() { systemctl show --property MainPID --value "$1"; }
# is_new UNIT PID: it runs, and not as that process.
is_new() { systemctl is-active --quiet "$1" && [ "$(pid_of "$1")" != "$2" ]; }

# version PATH: what answers through HAProxy.
version() {
    exec 3<>/dev/tcp/127.0.0.1/8080
    printf 'GET / HTTP/1.0\r\n\r\n' >&3
    sed -n 's/^x-version: *\([^\r]*\).*/\1/Ip' <&3
}

# Calls one after the other, from here to `calls_end`, which fails if one of them did.
calls_begin() {
    rm -f /tmp/refused
    : >/tmp/answered
    touch /tmp/calling
    while [ -e /tmp/calling ]; do
        if as alice timeout 20 teeter status >/dev/null 2>/tmp/call; then echo >>/tmp/answered; else cat /tmp/call >>/tmp/refused; fi
    done &
    calls=$!
}
calls_end() {
    rm /tmp/calling
    wait $calls
    [ ! -e /tmp/refused ] || wrong "beside $(wc -l </tmp/answered) that were answered, calls failed: $(sort /tmp/refused | uniq -c)"
}
