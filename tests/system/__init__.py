"""
The daemon on a real Linux USB stack, in a virtual machine, without hardware.

C{python -m tests.system} (C{make system-test}) boots Debian's kernel in QEMU.
A simulated phone is plugged into its bus through C{vhci_hcd}, so the kernel's
usbfs, the system's libusb, udevd and the unmodified client tools are the real
ones.  Each scenario is run with muxd's engines, and with the C daemon to compare.

Modules of this package run on the host, those of L{tests.system.guest} in the
virtual machine, and L{tests.system.scenarios} in there as well.  In F{vm} is a phone
of its own, which shares no code with muxd.
"""
