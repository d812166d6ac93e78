# From here on until the package is purged, alice holds web01.
as alice teeter drain app/web01 --reason kernel >&2
pid=$(pid_of haproxy.service)
systemctl restart haproxy.service
is_new haproxy.service "$pid"
until_it_holds is_out app/web01
ok "HAProxy restarted: teeterd takes the server out of the new process"

worker_pid() { echo 'show info' | socat -t 5 - /run/haproxy/admin.sock | sed -n 's/^Pid: //p'; }
worker=$(worker_pid)
# As its unit does it; the command is not in every Debian.
systemctl kill --kill-whom=main --signal=USR2 haproxy.service
another_worker() { [ "$(worker_pid)" != "$worker" ]; }
until_it_holds another_worker
until_it_holds is_out app/web01
only_alice_holds
ok "HAProxy reloaded: the same"
