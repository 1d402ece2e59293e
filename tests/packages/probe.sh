#!/bin/bash
# Runs inside a machine with systemd, as root: installs the package, and does to the service
# what operators do to it.  Each line of the result is "pass NAME" or "FAIL NAME: why".
#
# /probe has this file and the package; /probe/out takes the results.
set -u
out=/probe/out
exec >>"$out/log" 2>&1
set -x
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8
export DEBIAN_FRONTEND=noninteractive

pass() { echo "pass $1" >>"$out/results"; }
fail() {
    echo "FAIL $1: ${2:-status ${status:-?}}" >>"$out/results"
    systemctl status --no-pager -l 'usbmuxd*' || true
    journalctl -b --no-pager -u 'usbmuxd*' | tail -50 || true
}
# check NAME COMMAND...: whether it succeeds.
check() {
    local name=$1
    shift
    "$@" && { pass "$name"; return; }
    status=$?
    fail "$name" "$* ended with status $status"
    return 1
}
refuse() { ! "$@"; }
# until SECONDS COMMAND...: whether it succeeds within some time.
until_() {
    local end=$((SECONDS + $1))
    shift
    until "$@"; do
        [ $SECONDS -lt $end ] || return 1
        sleep 0.2
    done
}
property() { systemctl show -P "$2" "$1"; }
is() { [ "$(property usbmuxd.service "$1")" = "$2" ]; }
pid() { property usbmuxd.service MainPID; }
# Starts so close to each other are no trouble with the service: it is not to be given up.
again() { systemctl reset-failed usbmuxd.service && systemctl "$@"; }
# signal NAME PID: to one process; 0 would be this script and all that it has started.
signal() { [ "$2" -gt 1 ] && kill "-$1" "$2"; }
phones() { [ "$(muxctl --json --timeout 20 list | grep -c udid)" = "$1" ]; }
echoes() { [ "$(echo "hello $1" | muxctl --timeout 20 -u "$UDID" connect 7)" = "hello $1" ]; }
owner() { [ "$(stat -c '%U:%G %a' "$1")" = "$2" ]; }
statusTells() { property usbmuxd.service StatusText | grep -q "$1"; }

UDID=00008110-000A1B2C3D4E5F60
package=$(echo /probe/muxd_*.deb)

check booted until_ 60 systemctl is-active -q multi-user.target

# The C daemon's package makes room, and its records stay readable.
check apt-update apt-get update -qq
if check c-package-installed apt-get install -qq -y --no-install-recommends usbmuxd; then
    install -d -o usbmux -g plugdev -m 755 /var/lib/lockdown
    echo '<plist version="1.0"><dict><key>SystemBUID</key><string>30142955-444094379208051516</string></dict></plist>' \
        >/var/lib/lockdown/SystemConfiguration.plist
    chown usbmux /var/lib/lockdown/SystemConfiguration.plist
fi

install -d /etc/default
printf 'MUXD_OPTIONS="--source simulated:2"\n' >/etc/default/muxd
check installed apt-get install -qq -y --no-install-recommends -o Dpkg::Options::=--force-confold "$package"
check configured test "$(dpkg-query -W -f '${db:Status-Status}' muxd)" = installed
check c-package-gone refuse sh -c "dpkg-query -W -f '\${db:Status-Status}' usbmuxd | grep -qx installed"
check no-compiler refuse command -v gcc
check service-active until_ 30 systemctl is-active -q usbmuxd.service
check socket-active systemctl is-active -q usbmuxd.socket
check enabled systemctl is-enabled -q usbmuxd.service usbmuxd.socket usbmuxd-status.socket
check type-notify is Type notify
check user test "$(stat -c %U "/proc/$(pid)")" = usbmux
check no-capabilities grep -q '^CapEff:.*0000000000000000$' "/proc/$(pid)/status"
check socket-mode owner /run/usbmuxd "root:root 666"
check status-socket-mode owner /run/usbmuxd.status "usbmux:plugdev 600"
check records-mode owner /var/lib/lockdown "usbmux:plugdev 700"
check phones until_ 30 phones 2
check paired until_ 30 test -e "/var/lib/lockdown/$UDID.plist"
check echo echoes one
check status-text until_ 20 statusTells '2 phones'
check muxctl-status muxctl status
timeout -s INT 5 muxctl capture -p 7 -w /tmp/seven.pcapng &
until_ 5 test -e /tmp/seven.pcapng
check echo-captured echoes captured
check capture until_ 5 grep -aq "hello captured" /tmp/seven.pcapng
wait
check exposure sh -c "systemd-analyze security --threshold=15 usbmuxd.service --no-pager >/dev/null"
check same-identity test "$(muxctl buid)" = 30142955-444094379208051516

# Nobody else's.
check others-phones runuser -u nobody -- muxctl --timeout 20 list
check others-no-status refuse runuser -u nobody -- muxctl --timeout 20 status
check others-no-records refuse runuser -u nobody -- ls /var/lib/lockdown

# Start, stop, again.
check stop systemctl stop usbmuxd.service
check stopped-cleanly is Result success
check socket-stays test -S /run/usbmuxd
systemctl reset-failed usbmuxd.service
check activated echoes activated
check active-again systemctl is-active -q usbmuxd.service
check restart again restart usbmuxd.service
check echo-after-restart echoes restarted

# Its configuration, read again; without one, that is said, and nothing happens to it.
before=$(pid)
check reload-without-file refuse systemctl reload usbmuxd.service
check reload-harmless is MainPID "$before"
cat >/etc/muxd.toml <<'END'
source = ["simulated:2"]
status = "systemd:domain=UNIX:name=status"
[[listen]]
endpoint = "systemd:domain=UNIX:name=mux"
END
printf 'MUXD_OPTIONS="--config /etc/muxd.toml"\nMUXD_PLACES=""\n' >/etc/default/muxd
check config-restart again restart usbmuxd.service
check config-echo until_ 20 echoes configured
before=$(pid)
echo "only = [\"$UDID\"]" >>/etc/muxd.toml
check reload systemctl reload usbmuxd.service
check reload-view until_ 10 phones 1
check reload-same-process is MainPID "$before"
check reload-said sh -c "journalctl -b -u usbmuxd.service | grep -q 'configuration read again'"
printf 'MUXD_OPTIONS="--source simulated:2"\n' >/etc/default/muxd
again restart usbmuxd.service

# Killed, stuck: it comes back, and what connects meanwhile waits.
before=$(pid)
check killed signal KILL "$before"
check killed-comes-back until_ 20 sh -c "test \$(systemctl show -P MainPID usbmuxd.service) != $before -a \$(systemctl show -P MainPID usbmuxd.service) != 0"
check echo-after-kill echoes killed
mkdir -p /run/systemd/system/usbmuxd.service.d
printf '[Service]\nWatchdogSec=3\nTimeoutAbortSec=1\n' >/run/systemd/system/usbmuxd.service.d/probe.conf
systemctl daemon-reload
again restart usbmuxd.service
check watchdog-running until_ 20 is SubState running
before=$(pid)
sleep 5
check watchdog-patient is MainPID "$before"
check stopped signal STOP "$before"
check watchdog-kills until_ 30 sh -c "test \$(systemctl show -P MainPID usbmuxd.service) != $before -a \$(systemctl show -P MainPID usbmuxd.service) != 0"
check watchdog-said sh -c "journalctl -b -u usbmuxd.service | grep -q 'Watchdog timeout'"
check echo-after-watchdog echoes watchdog
rm -r /run/systemd/system/usbmuxd.service.d
systemctl daemon-reload

# A socket for a group alone keeps its mode.
mkdir -p /etc/systemd/system/usbmuxd.socket.d
printf '[Socket]\nSocketMode=0660\nSocketGroup=plugdev\n' >/etc/systemd/system/usbmuxd.socket.d/group.conf
systemctl daemon-reload
systemctl stop usbmuxd.service
systemctl restart usbmuxd.socket
again start usbmuxd.service
check group-socket owner /run/usbmuxd "root:plugdev 660"
check group-no-others refuse runuser -u nobody -- muxctl --timeout 20 list
check group-root phones 2
rm -r /etc/systemd/system/usbmuxd.socket.d
systemctl daemon-reload
systemctl stop usbmuxd.service
systemctl restart usbmuxd.socket
again start usbmuxd.service

# Upgraded while a session is open: that ends, and what connects meanwhile waits.
sleep 60 | muxctl -u "$UDID" connect 7 >/dev/null &
session=$!
until_ 20 statusTells '1 session' || true
before=$(pid)
check upgraded dpkg -i --force-confold "$package"
check upgrade-restarts refuse is MainPID "$before"
check upgrade-ends-session until_ 20 refuse kill -0 "$session"
check echo-after-upgrade until_ 20 echoes upgraded
check conffile-kept grep -q simulated:2 /etc/default/muxd

# Removed, purged.
check removed dpkg -r muxd
check removed-stops refuse systemctl is-active -q usbmuxd.service
check removed-socket refuse test -e /run/usbmuxd
check removed-files refuse test -e /usr/lib/muxd
check removed-keeps-conffile test -e /etc/default/muxd
check purged dpkg -P muxd
check purged-conffile refuse test -e /etc/default/muxd
check purged-keeps-records test -e "/var/lib/lockdown/$UDID.plist"
check purged-units refuse systemctl cat usbmuxd.service

# And the C daemon again, with the records as they are.
check c-package-again apt-get install -qq -y --no-install-recommends usbmuxd
check c-reads-records runuser -u usbmux -- grep -q 30142955 /var/lib/lockdown/SystemConfiguration.plist

echo done >>"$out/results"
