"""
What is imported late, or perhaps cannot be: public names that are imported when they are first
asked for, and libraries that are installed for a part of muxd alone.
"""
