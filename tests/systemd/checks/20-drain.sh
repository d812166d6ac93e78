as alice teeter drain app/web01 --reason kernel >&2
is_out app/web01
only_alice_holds
as alice teeter ready app/web01 >&2
is_in app/web01
ok "a member of the group teeter drains a server and brings it back"

code=0
as mallory teeter drain app/web02 --reason mischief >/tmp/output 2>/tmp/refusal || code=$?
[ $code -eq 4 ] && grep -q 'for the group teeter' /tmp/refusal || wrong "mallory got $code: $(cat /tmp/refusal)"
as mallory socat -u OPEN:/dev/null UNIX-CONNECT:/run/teeter/control.sock 2>/dev/null &&
    wrong "mallory can open the socket"
is_in app/web02
ok "a user outside the group is refused: $(sed -n 's/^teeter: //p' /tmp/refusal)"
