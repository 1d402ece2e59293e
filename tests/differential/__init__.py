"""
Odd requests, asked of the C daemon and of ours, and their answers compared.
"""
