"""
Captures of what phones and clients say to each other, as other programs read them.
"""
