"""
A simulated USB bus: devices, their descriptors and endpoints, and the faults of a cable.
"""
