"""
The lockdown protocol, as a host speaks it: who the phone is, and whether it trusts
this host (protocol 5.3).
"""
