# The running daemon.
status=/proc/$(pid_of teeterd.service)/status user=$(id -u teeter)
for line in 'CapEff:	0000000000000000' 'CapPrm:	0000000000000000' \
    'CapBnd:	0000000000000000' 'CapAmb:	0000000000000000' \
    'NoNewPrivs:	1' 'Seccomp:	2' "Uid:	$user	$user	$user	$user"; do
    grep -qx "$line" "$status" || wrong "not $line: $(cat "$status")"
done
ok "teeterd has no capability, can gain no privilege, and its system calls are filtered"

# A script in the same unit, with another program. As root it shows that the unit denies access, and not only the modes
# of files.
install -d -o teeter -g haproxy /etc/haproxy/maps
# A separate file system, as on many machines.
mount -t tmpfs none /opt
unit=$(systemctl show --property FragmentPath --value teeterd.service)
in_its_place() { # PART... from standard input, the unit
    sed -e "s#^ExecStart=.*#ExecStart=/checks/sandbox $*#" -e 's/^Type=.*/Type=oneshot/' \
        -e 's#^\[Service\]#&\nStandardOutput=append:/out/sandbox#' -e '/^\(WatchdogSec\|Restart\|NotifyAccess\)/d' \
        >/run/systemd/system/sandbox.service
    systemctl daemon-reload
    rm -f /out/sandbox
    systemctl start sandbox.service ||
        wrong "in teeterd's place too much or too little is possible: $(cat /out/sandbox)"
    cat /out/sandbox
}
in_its_place reach files bounds <"$unit"
[ ! -e /tmp/sandbox ] || wrong "its /tmp is that of the system"
sed '/^\(User\|Group\|StateDirectory\)/d' "$unit" | in_its_place files bounds
umount /opt

systemd-analyze security --no-pager --threshold=20 teeterd.service >/tmp/security || wrong "$(cat /tmp/security)"
ok "systemd rates its exposure: $(sed -n 's/.*teeterd.service: *//p' /tmp/security)"
