"""
The simulated phone's lockdownd: pairing, trust, values, and the start of services.
"""
