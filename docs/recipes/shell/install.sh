#!/bin/sh
# Called by `teeter deploy --per-server`: installs $TEETER_VERSION on one server, over ssh.
set -eu
case $TEETER_VERSION in
    '' | *[!A-Za-z0-9._-]*) echo "no version for a command line: '$TEETER_VERSION'" >&2; exit 1 ;;
esac
ssh -o BatchMode=yes -o ConnectTimeout=10 "deploy@$TEETER_SERVERS" "sudo /usr/local/bin/install-app $TEETER_VERSION"
