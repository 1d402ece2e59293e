# -*- test-case-name: tests.system.test_scenario -*-
"""
Tests for L{tests.system.scenario}, L{tests.system.plan} and the scenarios there are.
"""

from __future__ import annotations

from twisted.trial.unittest import SkipTest, SynchronousTestCase

from tests.system.contenders import Contender, Model
from tests.system.guest.daemons import PROJECT
from tests.system.guest.stage import Stage
from tests.system.plan import Share, Trial, divide
from tests.system.scenario import Catalogue
from tests.system.scenarios import CATALOGUE
from tests.system.scenarios.traffic import around


def nothing(stage: Stage) -> None:
    """
    It shows C{nothing} at all,
    in two lines.

    And this is nobody's business.
    """


class CatalogueTests(SynchronousTestCase):
    """
    Tests for L{Catalogue}.
    """

    def test_shows(self) -> None:
        """
        What a scenario shows is the first paragraph of its docstring.
        """
        catalogue = Catalogue()
        catalogue.scenario("one")(nothing)
        [scenario] = catalogue.matching()
        self.assertEqual(scenario.shows, "It shows nothing at all, in two lines.")

    def test_undocumented(self) -> None:
        """
        A scenario that does not say what it shows is refused.
        """

        def silent(stage: Stage) -> None:
            pass

        self.assertRaises(ValueError, Catalogue().scenario("one"), silent)

    def test_twice(self) -> None:
        """
        So is a name that is taken.
        """
        catalogue = Catalogue()
        catalogue.scenario("one")(nothing)
        self.assertRaises(ValueError, catalogue.scenario("one"), nothing)
        self.assertRaises(ValueError, Catalogue.joined, catalogue, catalogue)

    def test_matching(self) -> None:
        """
        Patterns are those of file names; the order is the catalogue's.
        """
        catalogue = Catalogue()
        for name in ("sizes-2", "echo", "sizes-1"):
            catalogue.scenario(name)(nothing)
        found = [each.name for each in catalogue.matching(["sizes-*", "ech?"])]
        self.assertEqual(found, ["sizes-2", "echo", "sizes-1"])
        self.assertEqual([each.name for each in catalogue.matching(["ech"])], [])

    def test_whyNot(self) -> None:
        """
        A scenario tells for whom it means nothing.
        """
        catalogue = Catalogue()
        catalogue.scenario("one", exempt={Contender.C: "because"}, models=[Model.MUXD])(nothing)
        [one] = catalogue.matching()
        self.assertEqual(one.whyNot(Contender.C, Model.MUXD), "because")
        self.assertEqual(
            one.whyNot(Contender.ASYNC, Model.STANDALONE), "the standalone phone cannot do it"
        )
        self.assertIsNone(one.whyNot(Contender.ASYNC, Model.MUXD))


class DocumentTests(SynchronousTestCase):
    """
    Tests for F{docs/system-tests.md}.
    """

    def test_scenarios(self) -> None:
        """
        It says of each scenario what that shows, in the scenario's own words.
        """
        document = PROJECT / "docs/system-tests.md"
        if not document.exists():
            raise SkipTest("this test needs the source tree")
        _, begin, rest = document.read_text().partition("<!-- scenarios -->\n")
        found, end, _ = rest.partition("<!-- end of scenarios -->")
        rows = [f"| {each.name} | {each.shows} |" for each in CATALOGUE.matching()]
        expected = "\n".join(["| scenario | shows |", "| --- | --- |", *rows, ""])
        self.assertEqual((begin, end, found), (begin, end, expected))
        self.assertTrue(begin and end)


class DivideTests(SynchronousTestCase):
    """
    Tests for L{divide}.
    """

    def test_everything(self) -> None:
        """
        Each scenario is tried once with each daemon, unless it means nothing to it;
        machines have equally many trials.
        """
        shares = divide(CATALOGUE.matching(), Contender, Model.STANDALONE, 2)
        found = [trial for share in shares for trial in share.trials]
        expected = [
            Trial(contender, each.name)
            for each in CATALOGUE.matching()
            for contender in Contender
            if each.whyNot(contender, Model.STANDALONE) is None
        ]
        self.assertEqual(sorted(map(str, found)), sorted(map(str, expected)))
        first, second = (len(share.trials) for share in shares)
        self.assertIn(first - second, (0, 1))

    def test_nothing(self) -> None:
        """
        Where nothing is to be done there is no share.
        """
        self.assertEqual(divide([], Contender, Model.MUXD, 2), [])

    def test_after(self) -> None:
        """
        What is left of a share, until nothing is.
        """
        one, two = Trial(Contender.C, "one"), Trial(Contender.ASYNC, "two")
        share = Share(Model.MUXD, (one, two))
        self.assertEqual(share.after(1), Share(Model.MUXD, (two,)))
        self.assertIsNone(share.after(2))

    def test_names(self) -> None:
        """
        A trial can be written down.
        """
        trial = Trial(Contender.THREADS, "sizes-512")
        self.assertEqual(str(trial), "threads:sizes-512")
        self.assertEqual(Trial.fromString(str(trial)), trial)


class AroundTests(SynchronousTestCase):
    """
    Tests for L{around}.
    """

    def test_edges(self) -> None:
        """
        One below, at, and above; of payloads, and of packets with their headers.
        """
        self.assertEqual(around(512), [475, 476, 477, 511, 512, 513])
