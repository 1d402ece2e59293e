"""
Attacks that have got through once, tried again.
"""
