for server in web01 web02 web03 web04; do systemctl start app@$server.service; done
until_it_holds is_out app/web01
only_alice_holds
until_it_holds is_in app/web02
ok "machine rebooted: the server that was out is out again"
