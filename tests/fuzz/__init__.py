"""
Hostile input, chosen by coverage: see docs/fuzzing.md.
"""
