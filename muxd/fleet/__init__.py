"""
A fleet: the phones of many hosts behind one address, and their reservations.
"""
