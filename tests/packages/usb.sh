#!/bin/bash
# Runs inside a virtual machine, as root: the package's unit, on a booted systemd, with a phone
# on the kernel's bus.  usb.sh TREE: a Debian with the package, which is not changed.  Each line
# of the result is "pass NAME" or "FAIL NAME".
set -u
tree=$1
out=/vmout
exec >"$out/log" 2>&1
set -x
serial=00008110000A1B2C3D4E5F60
UDID=00008110-000A1B2C3D4E5F60
say() { echo "$*" >>"$out/results"; echo "$*" >/dev/console; }
check() {
    local name=$1
    shift
    if "$@"; then say "pass $name"; else say "FAIL $name: $* ended with status $?"; fi
}
until_() {
    local end=$((SECONDS + $1))
    shift
    until "$@"; do
        [ $SECONDS -lt $end ] || return 1
        sleep 1
    done
}

# The phone, and its file as the udev rule leaves it.
"$PYTHON" -S tests/system/vm/phone.py --ctl /run/phone.sock --serial $serial --mux 2 &
until_ 60 test -S /run/phone.sock
"$PYTHON" - <<'END'
import socket
control = socket.socket(socket.AF_UNIX)
control.connect("/run/phone.sock")
control.sendall(b"plug\n")
print(control.recv(1000))
END
onBus() { grep -qs $serial /sys/bus/usb/devices/*/serial; }
check on-the-bus until_ 120 onBus
plugdev=$(awk -F: '$1 == "plugdev" { print $3 }' "$tree/etc/group")
chgrp "$plugdev" /dev/bus/usb/*/*
chmod 660 /dev/bus/usb/*/*

# A machine of its own in the machine: only what is below its root is different.
mkdir -p /run/machine && mount -t tmpfs tmpfs /run/machine
mkdir /run/machine/{upper,work,root}
mount -t overlay -o "lowerdir=$tree,upperdir=/run/machine/upper,workdir=/run/machine/work" \
    overlay /run/machine/root
mount -t cgroup2 cgroup2 /sys/fs/cgroup
SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1 systemd-nspawn -q -D /run/machine/root --register=no \
    --keep-unit --console=pipe --bind=/dev/bus/usb \
    --capability=all --system-call-filter=bpf -b </dev/null >"$out/boot" 2>&1 &
nspawn=$!
leader() { leader=$(pgrep -P $nspawn -x systemd); }
check machine until_ 120 leader
inside() { nsenter -t "$leader" -a -- env PATH=/usr/sbin:/usr/bin:/sbin:/bin "$@"; }
check socket until_ 300 inside systemctl is-active -q usbmuxd.socket
check service inside systemctl start usbmuxd.service
seen() { inside muxctl --timeout 60 list | grep -q $UDID; }
check seen until_ 120 seen
echoes() { [ "$(echo "hello $1" | inside muxctl --timeout 60 -u $UDID connect 7)" = "hello $1" ]; }
check opened echoes phone
pid=$(inside systemctl show -P MainPID usbmuxd.service)
# The number within the machine is not the one out here.
user() { [ "$(inside stat -c %U "/proc/$pid")" = usbmux ]; }
check user user
check closed test "$(inside systemctl show -P DevicePolicy usbmuxd.service)" = closed

# It is that line of the unit that lets it: without it, no device.
mkdir -p /run/machine/root/etc/systemd/system/usbmuxd.service.d
printf '[Service]\nDeviceAllow=\n' >/run/machine/root/etc/systemd/system/usbmuxd.service.d/none.conf
inside systemctl daemon-reload
check restarted inside systemctl restart usbmuxd.service
denied() { inside journalctl -b --no-pager -u usbmuxd.service | tail -20 | grep -q "is forbidden to this process"; }
check denied until_ 60 denied
unseen() { ! inside muxctl --timeout 60 list | grep -q $UDID; }
check unseen unseen
inside journalctl -b --no-pager -u usbmuxd.service
say done
