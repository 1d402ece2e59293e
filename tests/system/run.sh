#!/bin/sh
# The daemon on a real Linux USB stack, in a virtual machine, without hardware.
#
#   tests/system/run.sh [PYTHON]    PYTHON has muxd's dependencies (.venv/bin/python)
#
# Needs root on Debian 12 for its first run, which installs QEMU and unpacks a
# kernel into $VMLAB (default ~/.cache/muxd-vm); later runs need neither.
set -e
here=$(dirname "$(readlink -f "$0")")
project=$(dirname "$(dirname "$here")")
python=$(readlink -f "$(dirname "${1:-$project/.venv/bin/python}")")/$(basename "${1:-python}")
lab=${VMLAB:-$HOME/.cache/muxd-vm}
[ -f "$lab/initramfs.cpio" ] || sh "$here/vm/setup.sh" "$lab"
status=0
for options in "" "--udev" "--unconfigured" "--udev --unconfigured --engine threads"; do
    echo "== scenario.py $options"
    "$python" "$here/vm/vmrun.py" --timeout 600 "$python $here/scenario.py $options" || status=1
done
exit $status
