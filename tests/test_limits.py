# -*- test-case-name: tests.test_limits -*-
"""
Tests of L{muxd.limits}.
"""

from __future__ import annotations

import ast
import inspect
import textwrap
from dataclasses import fields
from typing import cast

from twisted.trial.unittest import SynchronousTestCase

from muxd.limits import LIMITS, Limits


class LimitsTests(SynchronousTestCase):
    """
    Tests of the default L{Limits}.
    """

    def test_documented(self) -> None:
        """
        The text under each limit explains it.
        """
        tree = ast.parse(textwrap.dedent(inspect.getsource(Limits)))
        body = cast(ast.ClassDef, tree.body[0]).body[1:]
        names, texts = body[::2], body[1::2]
        explained = [
            cast(ast.Name, cast(ast.AnnAssign, name).target).id
            for name, text in zip(names, texts, strict=True)
            if len(str(ast.literal_eval(cast(ast.Expr, text).value)).split()) > 3
        ]
        self.assertEqual(explained, [field.name for field in fields(Limits)])

    def test_positive(self) -> None:
        """
        Nothing is without a limit, and nothing is forbidden altogether.
        """
        for field in fields(Limits):
            self.assertGreater(getattr(LIMITS, field.name), 0, field.name)

    def test_window(self) -> None:
        """
        The window that is offered can be expressed in a segment (protocol 3.2),
        and is not used up before it is acknowledged.
        """
        self.assertEqual(LIMITS.receiveWindow % 256, 0)
        self.assertLessEqual(LIMITS.receiveWindow, 65535 * 256)
        self.assertLess(LIMITS.acknowledgeAt, LIMITS.receiveWindow)

    def test_patience(self) -> None:
        """
        The time for a segment that nothing else sends is far below anybody's
        patience.
        """
        self.assertLess(LIMITS.acknowledgeDelay, 0.1)
