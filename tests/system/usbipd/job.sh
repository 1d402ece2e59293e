#!/bin/sh
# Within the virtual machine: a phone on dummy_hcd, exported by Debian's usbipd, which muxd imports.
# job.sh PYTHON MODULES
set -e
python=$1 modules=$2 gadget=/sys/kernel/config/usb_gadget/phone

for each in fs/configfs/configfs drivers/usb/gadget/udc/udc-core drivers/usb/gadget/libcomposite \
    drivers/usb/gadget/function/usb_f_fs drivers/usb/gadget/udc/dummy_hcd drivers/usb/usbip/usbip-host; do
    busybox insmod "$modules/kernel/$each.ko"
done
mount -t configfs none /sys/kernel/config
mkdir $gadget $gadget/strings/0x409 $gadget/configs/c.1 $gadget/functions/ffs.mux
echo 0x05ac > $gadget/idVendor
echo 0x12a8 > $gadget/idProduct
echo 00008110000A1B2C3D4E5F60 > $gadget/strings/0x409/serialnumber
echo "Apple Inc." > $gadget/strings/0x409/manufacturer
echo iPhone > $gadget/strings/0x409/product
ln -s $gadget/functions/ffs.mux $gadget/configs/c.1
mkdir /run/ffs
mount -t functionfs mux /run/ffs
"$python" -m tests.system.usbipd.gadget /run/ffs /run/told &
until [ -e /run/told ]; do sleep 1; done
ls /sys/class/udc > $gadget/UDC
until device=$(grep -l 05ac /sys/bus/usb/devices/*/idVendor); do sleep 1; done
place=$(basename "$(dirname "$device")")
mkdir -p /run/lock
usbipd -D -4
usbip bind -b "$place"
usbip list -r 127.0.0.1

"$python" -c "from twisted.scripts.twistd import run; run()" -n --pidfile= usbmuxd --no-preflight \
    -s usbip:127.0.0.1 -l unix:/run/mux -C /run/lockdown > /run/muxd.log 2>&1 &
daemon=$!
"$python" -m muxd.muxctl wait -s UNIX:/run/mux --timeout 300
"$python" -m tests.system.usbipd.echoes usbip UNIX:/run/mux
kill $daemon
wait $daemon
! grep -E 'Traceback|#(error|critical)\]' /run/muxd.log
sleep 2
cat /run/told
grep -q 'violations \[\]' /run/told
