pid=$(pid_of teeterd.service)
kill -KILL "$pid"
until_it_holds is_new teeterd.service "$pid"
only_alice_holds
is_out app/web01
ok "teeterd killed: systemd starts it again, and its record is correct"
