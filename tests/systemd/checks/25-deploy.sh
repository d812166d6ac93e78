(cd /home/alice && as alice teeter deploy web --to v2 -- /checks/hook) >&2
for server in web01 web02 web03 web04; do
    is_in app/$server && is_in api/$server
    [ "$(cat /srv/$server)" = v2 ] || wrong "$server has $(cat /srv/$server)"
done
for _ in 1 2 3 4; do [ "$(version)" = v2 ] || wrong "HAProxy still serves $(version)"; done
as alice teeter show | has 'done' || wrong "$(as alice teeter show)"
ok "a whole deploy, half by half, with a hook that runs with the caller's rights"

sed -i 's/^min_available = .*/min_available = 1/' /etc/teeter/teeter.toml
pid=$(pid_of teeterd.service)
systemctl reload teeterd.service
[ "$(pid_of teeterd.service)" = "$pid" ] || wrong "it is another process"
until_it_holds logged 'configuration read again'
ok "systemctl reload makes teeterd read the configuration again"
