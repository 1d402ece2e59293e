"""
All inputs that are kept, once more, without atheris.
"""

from __future__ import annotations

import gc
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.fuzz import repeat, seeds
from tests.fuzz.target import CORPUS, TARGETS, targetNamed
from tests.running.unit import takesSeconds

MOST_INPUTS = 700
LARGEST = 16384


@takesSeconds
class CorpusTests(SynchronousTestCase):
    """
    Nothing that was ever found may happen again.
    """

    def setUp(self) -> None:
        """
        Each execution looks for what is left of it, but not among what was there
        before.
        """
        gc.collect()
        gc.freeze()
        self.addCleanup(gc.unfreeze)

    def replay(self, name: str) -> None:
        """
        Run a target with all its inputs.
        """
        target = targetNamed(name)
        run = target.load()
        for path in target.inputs():
            try:
                run(path.read_bytes())
            except Exception as error:
                error.add_note(f"repeat it with: python -m tests.fuzz.repeat {name} {path}")
                raise

    def test_clients(self) -> None:
        """
        Clients.
        """
        self.replay("clients")

    def test_phones(self) -> None:
        """
        A phone's packets.
        """
        self.replay("phones")

    def test_sockets(self) -> None:
        """
        Clients on plain sockets.
        """
        self.replay("sockets")

    def test_status(self) -> None:
        """
        Programs and pages at the status socket.
        """
        self.replay("status")

    def test_fleet(self) -> None:
        """
        Hosts, jobs, and what knocks at a door.
        """
        self.replay("fleet")

    def test_etcd(self) -> None:
        """
        An etcd that lies.
        """
        self.replay("etcd")

    def test_tunnels(self) -> None:
        """
        A phone in its tunnel.
        """
        self.replay("tunnels")

    def test_calls(self) -> None:
        """
        Rules that are wrong.
        """
        self.replay("calls")

    def test_lockdown(self) -> None:
        """
        A phone's lockdownd.
        """
        self.replay("lockdown")

    def test_hosts(self) -> None:
        """
        A host that the simulated phone has to bear.
        """
        self.replay("hosts")

    def test_messages(self) -> None:
        """
        The codec of messages.
        """
        self.replay("messages")

    def test_configuration(self) -> None:
        """
        What operators write.
        """
        self.replay("configuration")

    def test_packets(self) -> None:
        """
        The codec of packets.
        """
        self.replay("packets")


class KeepingTests(SynchronousTestCase):
    """
    What is kept.
    """

    def test_targets(self) -> None:
        """
        Each target has inputs and a test above, and nothing is kept for others.
        """
        names = {target.name for target in TARGETS}
        self.assertEqual({each.name for each in CORPUS.iterdir()}, names)
        for name in names:
            self.assertTrue(targetNamed(name).inputs())
            self.assertTrue(hasattr(CorpusTests, f"test_{name}"))
        self.assertRaises(ValueError, targetNamed, "nothing")

    def test_size(self) -> None:
        """
        It is little, so that everybody can afford to run it.
        """
        inputs = [path for target in TARGETS for path in target.inputs()]
        self.assertLess(len(inputs), MOST_INPUTS)
        self.assertEqual([path for path in inputs if path.stat().st_size > LARGEST], [])

    def test_seeds(self) -> None:
        """
        Those written by hand are what they are written as.
        """
        for target in TARGETS:
            kept = {path.name: path.read_bytes() for path in target.corpus.glob("seed-*")}
            made = {f"seed-{title}": data for title, data in seeds.SEEDS[target.name]()}
            self.assertEqual(kept, made, "run: python -m tests.fuzz.seeds")


class RepeatTests(SynchronousTestCase):
    """
    One input once more.
    """

    def test_good(self) -> None:
        """
        An input that is good is said to be.
        """
        path = Path(self.mktemp())
        path.write_bytes(b"\0")
        said = StringIO()
        with redirect_stdout(said):
            repeat.main(["repeat", "packets", str(path)])
        self.assertIn("1 inputs, and nothing to object to", said.getvalue())

    def test_bad(self) -> None:
        """
        What a target raises comes out.
        """
        path = Path(self.mktemp())
        path.write_bytes(b"input")
        self.patch(repeat, "targetNamed", lambda name: Failing())
        with redirect_stdout(StringIO()):
            error = self.assertRaises(
                ZeroDivisionError, repeat.main, ["repeat", "packets", str(path)]
            )
        self.assertEqual(error.args, (b"input",))

    def test_usage(self) -> None:
        """
        It wants to know which.
        """
        self.assertRaises(SystemExit, repeat.main, ["repeat", "packets"])


class Failing:
    """
    A target that always fails.
    """

    def load(self) -> object:
        """
        Its function.
        """

        def run(data: bytes) -> None:
            raise ZeroDivisionError(data)

        return run
