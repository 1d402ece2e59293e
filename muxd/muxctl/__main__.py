"""
C{python -m muxd.muxctl}, which is C{muxctl} where its script is not installed.
"""

from muxd.muxctl.script import console

console()
