# `inside` boots the machine when this file is there.
is_out app/web01
touch /checks/reboot
