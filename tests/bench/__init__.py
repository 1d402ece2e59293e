"""
The benchmark: what it asks for, and what it makes of the answers.
"""
