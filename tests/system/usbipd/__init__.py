"""
A phone that is exported by Linux' own C{usbipd}, for the source C{usbip}: C{python -m
tests.system.usbipd}.
"""
