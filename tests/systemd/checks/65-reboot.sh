# `inside` reboots the machine if this file exists.
is_out app/web01
touch /checks/reboot
