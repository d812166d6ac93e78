cp /etc/teeter/teeter.toml /tmp/teeter.toml
echo 'grase = "30s"' >>/etc/teeter/teeter.toml
! systemctl restart teeterd.service 2>/dev/null || wrong "it starts with a configuration that is wrong"
until_it_holds logged 'teeter.toml:[0-9]*:1: unknown field'
code=0
as alice timeout 20 teeter status >&2 || code=$?
[ $code -eq 9 ] || wrong "a call ended with $code"
[ "$(systemctl show --property ActiveState --value teeterd.service)" = failed ] || wrong "it goes on trying"
is_out app/web01
cp /tmp/teeter.toml /etc/teeter/teeter.toml
systemctl restart teeterd.service
systemctl is-active --quiet teeterd.socket || wrong "the socket is gone"
only_alice_holds
ok "with a wrong configuration teeterd does not start, and reports the place; after the fix it goes on as before"
