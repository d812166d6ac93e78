#!/bin/sh
# A deploy as people write it: stop the old one, start the new one, see that it answers.
set -eu
echo "$TEETER_RUN" >"@DIR@/run"
for name in $TEETER_SERVERS; do
    case $name in
@CASES@
    *) echo "unknown server $name" >&2; exit 1 ;;
    esac
    pid=$(cat "@DIR@/$name.pid")
    echo "$name: stopping process $pid"
    kill "$pid"
    tries=0
    # A process that ended but is not yet buried still has a number.
    while kill -0 "$pid" 2>/dev/null && ! grep -q 'State:.Z' "/proc/$pid/status" 2>/dev/null; do
        tries=$((tries + 1))
        [ "$tries" -lt 200 ] || { echo "$name does not stop" >&2; exit 1; }
        sleep 0.02
    done
    rm -f "@DIR@/$name.pid"
    setsid nohup "@LAB@" app --name "$name" --listen "$addr" --version "$TEETER_VERSION" \
        --work @WORK@ --pid-file "@DIR@/$name.pid" >>"@DIR@/$name.log" 2>&1 </dev/null &
    tries=0
    until [ -s "@DIR@/$name.pid" ] && curl -fsS -o /dev/null "http://$addr/_status" 2>/dev/null; do
        tries=$((tries + 1))
        [ "$tries" -lt 200 ] || { echo "$name does not answer" >&2; exit 1; }
        sleep 0.02
    done
    echo "$name: $TEETER_VERSION answers as process $(cat "@DIR@/$name.pid")"
done
