"""
The lockdown protocol, as a host speaks it: a phone's identity, and whether it trusts
this host (protocol 5.3).
"""
