"""
The Debian package on machines that are made for it: C{python -m tests.packages}.
"""
