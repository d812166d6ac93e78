# The sample of the package, as an operator would use it.
cp /usr/share/doc/teeter/examples/servers.cfg /etc/haproxy/haproxy.cfg
cp /usr/share/doc/teeter/examples/servers.toml /etc/teeter/teeter.toml
# The master's socket, as in docs/haproxy.md.
echo 'EXTRAOPTS="-S /run/haproxy/master.sock,mode,660"' >>/etc/default/haproxy
sed -i '/^name = "edge"/a master = "/run/haproxy/master.sock"' /etc/teeter/teeter.toml
chown alice /srv
for server in web01 web02 web03 web04; do
    as alice sh -c "echo v1 >/srv/$server"
    systemctl start app@$server.service
done
systemctl restart haproxy.service
systemctl restart teeterd.service
until_it_holds as alice teeter doctor
until_it_holds as alice teeter wait farm:web --until up --timeout 20s
[ "$(version)" = v1 ] || wrong "HAProxy does not serve v1"
as alice teeter status --json | has '"sees_old": *true' || wrong "teeterd has no connection to HAProxy's master"
ok "the sample from /usr/share/doc/teeter/examples works as it is, and the doctor finds nothing wrong"
