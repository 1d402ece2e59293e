"""
The engine C{async}: libusb's asynchronous transfers, driven by the reactor.
"""
