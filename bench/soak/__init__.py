"""
Whether the daemon stays what it was: mixed traffic, phones that come and go and
clients that are killed, for as long as one likes.

C{python -m bench.soak} runs it; docs/soak.md explains what it decides by.
"""
