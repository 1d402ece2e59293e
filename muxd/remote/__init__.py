"""
Phones of other hosts: those of another usbmuxd, whichever it is, as a source of devices.
"""
