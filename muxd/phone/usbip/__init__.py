"""
Simulated phones for the kernel of any Linux machine, over USB/IP.
"""
