"""
The runner of these tests: which are loaded, several workers, and what came of them.

C{python -m tests} is the command; see L{tests.__main__}.
"""
