#!/bin/sh
# A scenario of tests/usb/scenarios.py under valgrind, which also sees what code
# does to memory that was not built with AddressSanitizer: Python's and ctypes'.
#
#   tests/usb/valgrind.sh [SCENARIO [ENGINE]]    such as: unplug async
set -e
cd "$(dirname "$(readlink -f "$0")")/../.."
exec "${PYTHON:-.venv/bin/python}" -m tests.usb.rig "${1:-unplug}" "${2:-async}"
