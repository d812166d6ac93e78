drop_in=/run/systemd/system/teeterd.service.d
mkdir -p $drop_in
printf '[Service]\nWatchdogSec=2\n' >$drop_in/watchdog.conf
systemctl daemon-reload
systemctl restart teeterd.service
notified() { systemctl show --property WatchdogTimestampMonotonic --value teeterd.service; }
pid=$(pid_of teeterd.service) first=$(notified)
notified_again() { [ "$(notified)" -gt $((first + 5000000)) ]; }
until_it_holds notified_again
[ "$(pid_of teeterd.service)" = "$pid" ] || wrong "it did not live that long"
ok "teeterd notifies the watchdog, for longer than the timeout"

kill -STOP "$pid"
until_it_holds is_new teeterd.service "$pid"
until_it_holds logged 'Watchdog timeout'
only_alice_holds
is_out app/web01
ok "teeterd suspended: the watchdog ends it, and another teeterd takes over"
rm -r $drop_in
systemctl daemon-reload
systemctl restart teeterd.service
