"""
The daemon with the tools and programs that people use with it.
"""
