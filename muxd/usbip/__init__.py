"""
USB/IP: the devices of other kernels' USB buses, as Linux exports them.
"""
