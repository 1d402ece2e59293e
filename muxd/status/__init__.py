"""
What an operator sees of a daemon, and what an operator does to it, over HTTP.
"""
