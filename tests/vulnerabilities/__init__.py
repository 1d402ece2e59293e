"""
The known vulnerabilities of this family of programs, tried on this one.
"""
