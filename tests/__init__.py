"""
What must hold of muxd.
"""
