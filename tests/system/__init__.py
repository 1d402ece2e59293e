"""
The daemon on a real kernel.
"""
