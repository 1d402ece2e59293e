"""
Phones that are reached by the network: found by what they announce, proved by their pair
records, kept by their heartbeats.
"""
