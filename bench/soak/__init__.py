"""
A soak: the daemon under mixed traffic, with phones that come and go and clients that
are killed, for as long as it is told.  It must stay as right and as small as it was.

C{python -m bench.soak} runs it; docs/soak.md explains what it decides by.
"""
