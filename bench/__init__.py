"""
How fast the daemon is, beside Debian's C usbmuxd on the same bus.

C{python -m bench} measures; docs/performance.md explains what.
"""
