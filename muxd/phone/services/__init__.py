"""
What listens on the ports of a simulated phone.
"""
