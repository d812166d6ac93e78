# Calls go on all the time. None may fail: systemd keeps the socket, and calls wait in it.
calls_begin
as alice teeter wait app/web01 --until up --timeout 60s >/tmp/waited 2>&1 &
waiting=$!
for _ in 1 2 3; do
    pid=$(pid_of teeterd.service) before=$(wc -l </tmp/answered)
    systemctl restart teeterd.service
    is_new teeterd.service "$pid"
    more() { [ "$(wc -l </tmp/answered)" -gt $((before + 1)) ]; }
    until_it_holds more
done
calls_end
ok "teeterd restarted three times: $(wc -l </tmp/answered) calls at that time, and each was answered"

is_out app/web01
only_alice_holds
as alice teeter ready app/web01 >&2
wait $waiting || wrong "teeter wait ended with $?: $(cat /tmp/waited)"
ok "a call that waited through all three restarts was answered when the server was up"
as alice teeter drain app/web01 --reason kernel >&2

systemctl stop teeterd.service
is_out app/web01
as alice teeter holds >&2
systemctl is-active --quiet teeterd.service || wrong "it is not active"
only_alice_holds
ok "teeterd stopped: servers that are out stay out, and the next call starts teeterd"
