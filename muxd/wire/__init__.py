"""
Bytes to values and back, for both protocols: no I/O, no state but a parser's.

The ground floor: it imports nothing else of this package.
"""
