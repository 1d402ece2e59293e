"""
An examination of any usbmuxd, by a phone that insists on the protocol: C{python -m
muxd.phone.examine}.
"""
