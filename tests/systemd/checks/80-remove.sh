apt-get remove -y -qq teeter >&2
is_out app/web01
for unit in teeterd.service teeterd.socket; do
    systemctl is-active --quiet $unit && wrong "$unit is active"
done
! command -v teeter teeterd || wrong "they are still there"
[ ! -e /run/teeter ] || wrong "/run/teeter is still there"
[ -s /var/lib/teeter/teeter.db ] && [ -s /etc/teeter/teeter.toml ] || wrong "store or configuration are gone"
ok "removed: servers that are out stay out, store and configuration stay"

apt-get install -y -qq /checks/teeter.deb >&2
until_it_holds only_alice_holds
is_out app/web01
ok "installed once more: it goes on as before"

apt-get purge -y -qq teeter >&2
left=$(find / -xdev \( -path /proc -o -path /sys -o -path /out -o -path /checks -o -path /var/log \) -prune -o \
    -name '*teeter*' -print; systemctl list-unit-files 'teeter*' --no-legend; find /run /tmp -name '*teeter*')
[ -z "$left" ] || wrong "still there: $left"
systemctl --failed --no-legend | grep . && wrong "a unit has failed"
ok "purged: only the user is left, as is Debian's custom"
