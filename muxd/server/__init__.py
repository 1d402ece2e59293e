"""
What clients see: the control protocol, the registry of devices, pair records.

It knows devices only as L{muxd.interfaces.IDevice}: nothing here knows USB.
"""
