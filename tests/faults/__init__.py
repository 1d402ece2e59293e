"""
Thousands of fault plans over the whole daemon: see L{tests.faults.exploration}.
"""
