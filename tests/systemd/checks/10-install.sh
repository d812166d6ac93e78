# The package alone, beside the HAProxy of the distribution.
useradd --create-home alice
useradd --create-home mallory
DEBIAN_FRONTEND=noninteractive apt-get install -y -qq /checks/teeter.deb >&2
usermod --append --groups teeter alice
for unit in teeterd.service teeterd.socket; do
    systemctl is-enabled --quiet $unit || wrong "$unit is not enabled"
    systemctl is-active --quiet $unit || wrong "$unit is not active"
done
[ "$(stat -c '%U:%G %a' /run/teeter/control.sock)" = "root:teeter 660" ] || wrong "$(stat /run/teeter/control.sock)"
[ "$(stat -c '%U:%G %a' /run/teeter)" = "root:root 755" ] || wrong "$(stat /run/teeter)"
[ "$(stat -c '%U:%G %a' /var/lib/teeter)" = "teeter:teeter 700" ] || wrong "$(stat /var/lib/teeter)"
ok "apt installs the package, and its units run: teeterd as a user of its own, the control socket for its group"

teeterd --check 2>&1 | has '1 HAProxy, 0 farms' || wrong "the configuration of the package has a setting"
as alice teeter status >&2
as alice teeter holds --json | tr -d ' \n' | has '"holds":\[\]' || wrong "there is a hold"
ok "teeterd finds the HAProxy of the distribution without configuration, and there are no holds"

for command in $(teeter --help | sed -n '/^Commands:/,/^$/s/^  \([a-z]*\) .*/\1/p' | grep -vx help); do
    [ -s "/usr/share/man/man1/teeter-$command.1.gz" ] || wrong "there is no manual page for $command"
done
[ -s /usr/share/man/man1/teeter.1.gz ] && [ -s /usr/share/man/man8/teeterd.8.gz ] &&
    [ -s /usr/share/man/man5/teeter.toml.5.gz ] || wrong "a manual page is missing"
for command in teeter teeterd; do
    bash -c ". /usr/share/bash-completion/completions/$command && complete -p $command" >&2
    [ -s /usr/share/zsh/vendor-completions/_$command ] && [ -s /usr/share/fish/vendor_completions.d/$command.fish ]
done
ok "there are manual pages for every command, and completions"
