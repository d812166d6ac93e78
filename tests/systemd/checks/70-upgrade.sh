pid=$(pid_of teeterd.service)
calls_begin
echo '# ours' >>/etc/teeter/teeter.toml
DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --reinstall /checks/teeter.deb >&2
is_new teeterd.service "$pid" || wrong "the daemon is the old one"
calls_end
grep -q '# ours' /etc/teeter/teeter.toml || wrong "the configuration was overwritten"
only_alice_holds
is_out app/web01
ok "installed again: a new daemon, with the store, the configuration and the hold"
ok "none of $(wc -l </tmp/answered) calls failed meanwhile"
