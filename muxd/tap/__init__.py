"""
What the commands under C{twistd} are made of: their options and services.
"""
