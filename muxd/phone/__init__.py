"""
The simulated iPhone: the far end of the muxer, its services, and its ways onto
a bus.

It is strict: whatever a host does against protocol 1 to 3 is written down in
C{phone.violations}.  And it can be made to misbehave.
"""
