"""
Trees of Python's source, for the tests that read the program.
"""

from __future__ import annotations

import ast
import gc


def parse(source: str) -> ast.Module:
    """
    The tree of a module.  The collector, which looks at its nodes again and again while it
    grows, finds no circle among them: it waits, which halves the time.
    """
    collected = gc.isenabled()
    gc.disable()
    try:
        return ast.parse(source)
    finally:
        if collected:
            gc.enable()
