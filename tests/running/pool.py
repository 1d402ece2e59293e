"""
Several workers, and the tests dealt out to them.
"""

from __future__ import annotations

import collections
import contextlib
import itertools
import json
import os
import queue
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import IO

from tests.running.found import Found
from tests.running.outcome import Outcome, Verdict


class Pool:
    """
    Runs tests in several processes.

    A worker gets a batch at a time.  Where one ends within a test, that test has
    failed, and a new worker goes on with the rest of the batch.  One that ends after
    the last test of a batch is told as a failure of its own.
    """

    def __init__(
        self, command: Sequence[str], deadline: float, ended: Callable[[Outcome], None]
    ) -> None:
        """
        @param command: What starts a worker, but for its arguments; see
            L{tests.running.worker}.
        @param deadline: Seconds that a test may take.
        @param ended: Called with each L{Outcome}, by one thread at a time.
        """
        self._command = command
        self._deadline = deadline
        self._ended = ended
        self._batches: queue.SimpleQueue[list[str]] = queue.SimpleQueue()
        self._names: Sequence[str] = ()
        self._found: queue.SimpleQueue[list[Found] | None] = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._workers: set[_Worker] = set()
        self._isOver = False
        self._lock = threading.Lock()

    def run(self, batches: Sequence[Sequence[str]], jobs: int) -> None:
        """
        Run all tests of all batches, the first batches first.

        @param jobs: How many workers there are, as far as they have not been started yet.
        """
        if not self._threads:
            # The id of a test is that of a module, a class and a method.
            tests = itertools.chain.from_iterable(batches)
            self._names = list(dict.fromkeys(test.rsplit(".", 2)[0] for test in tests))
        self._start(min(jobs, len(batches)))
        for batch in batches:
            self._batches.put(list(batch))
        for _ in self._threads:
            self._batches.put([])
        with self._killing():
            for thread in self._threads:
                thread.join()

    def find(self, names: Sequence[str], jobs: int) -> list[Found]:
        """
        Start workers, which import what they are to run; the first to have done so says what
        that is.  If none can, that is told as a failure.

        @param names: Of packages, modules, classes and tests.
        @param jobs: How many workers.
        """
        self._names = names
        self._start(jobs)
        with self._killing():
            for _ in self._threads:
                if (found := self._found.get()) is not None:
                    return found
        self._tell(Outcome("<worker>", Verdict.FAILED, reason="no worker has found any test\n"))
        return []

    @contextlib.contextmanager
    def _killing(self) -> Iterator[None]:
        """
        Where this is interrupted, no worker goes on: each has a process group of its own, so that
        no signal reaches it that is for this process and its children.
        """
        try:
            yield
        except BaseException:
            self._isOver = True
            for worker in list(self._workers):
                worker.kill()
            raise

    def _start(self, jobs: int) -> None:
        """
        Start workers, up to a number of them.
        """
        while len(self._threads) < jobs:
            thread = threading.Thread(target=self._work, daemon=True)
            self._threads.append(thread)
            thread.start()

    def _work(self) -> None:
        """
        One worker after the other, until nothing is left to be done.
        """
        worker = self._hired()
        self._found.put(worker.find())
        batch: list[str] = []
        while (batch := batch or self._batches.get()) and not self._isOver:
            if worker.lost:
                self._dismiss(worker)
                worker = self._hired()
            batch = worker.run(batch)
        self._dismiss(worker)

    def _hired(self) -> _Worker:
        worker = _Worker(self._command, self._deadline, self._names, self._tell)
        self._workers.add(worker)
        return worker

    def _dismiss(self, worker: _Worker) -> None:
        worker.stop()
        self._workers.discard(worker)

    def _tell(self, outcome: Outcome) -> None:
        with self._lock:
            self._ended(outcome)


class _Worker:
    """
    A process that runs tests.

    @ivar lost: Whether it has ended before it should.
    """

    def __init__(
        self,
        command: Sequence[str],
        deadline: float,
        names: Sequence[str],
        ended: Callable[[Outcome], None],
    ) -> None:
        self.lost = False
        self._ended = ended
        self._output: IO[bytes] = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 (until stop)
        ours, theirs = os.pipe()
        self._process = subprocess.Popen(
            [*command, str(theirs), str(deadline)],
            stdin=subprocess.PIPE,
            stdout=self._output,
            stderr=subprocess.STDOUT,
            pass_fds=[theirs],
            text=True,
            process_group=0,
        )
        os.close(theirs)
        self._events = os.fdopen(ours)
        self._write(f"{json.dumps(names)}\n")

    def find(self) -> list[Found] | None:
        """
        Which tests there are; nothing, if it has ended before it could say so.
        """
        for line in self._told():
            return [Found(*test) for test in json.loads(line.removeprefix("tests "))]
        return None

    def run(self, batch: Sequence[str]) -> list[str]:
        """
        Run tests.

        @return: Those that are still to be run, if this worker is lost.
        """
        left = collections.Counter(batch)
        running, start, offset = "", time.monotonic(), 0
        self._write(f"{json.dumps(list(batch))}\n")
        for line in self._told():
            word, _, rest = line.partition(" ")
            if word == "tests":
                # It has been hired in the place of one that was lost.
                continue
            if word == "idle":
                return []
            if word == "start":
                place, _, running = rest.partition(" ")
                start, offset = time.monotonic(), int(place)
            else:
                self._ended(Outcome.fromJSON(rest))
                left[running] -= 1
                running = ""
        self.lost = True
        reason = f"the worker has ended with status {self._process.wait()}\n"
        # One that ends before the first test would do so again.
        guilty = running or next((test for test in batch if left[test] > 0), "<worker>")
        left[guilty] -= 1
        self._ended(
            Outcome(guilty, Verdict.FAILED, time.monotonic() - start, reason, self._written(offset))
        )
        return [test for test in batch if left[test] > 0]

    def stop(self) -> None:
        """
        Have it end, and wait for that.  Processes that it has left behind end as
        well.
        """
        self._write("")
        # Something may be found wrong after the last test.
        for line in self._told():
            word, _, rest = line.partition(" ")
            if word == "end":
                self._ended(Outcome.fromJSON(rest))
        status = self._process.wait()
        if status and not self.lost:
            reason = f"a worker has ended with status {status}\n"
            self._ended(Outcome("<worker>", Verdict.FAILED, 0.0, reason, self._written(0)))
        self.kill()
        self._events.close()
        self._output.close()

    def kill(self) -> None:
        """
        End it at once, with all processes that it has started.
        """
        try:
            os.killpg(self._process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass

    def _told(self) -> Iterator[str]:
        """
        The lines that it has written, each as a whole: the last one of a worker that has been
        killed need not be.
        """
        return (line[:-1] for line in self._events if line.endswith("\n"))

    def _write(self, line: str) -> None:
        """
        Tell it something, or that there is nothing more.
        """
        assert self._process.stdin is not None
        try:
            if line:
                self._process.stdin.write(line)
                self._process.stdin.flush()
            else:
                self._process.stdin.close()
        except BrokenPipeError:
            pass

    def _written(self, start: int) -> str:
        """
        What it has printed, from an offset on.
        """
        size = os.fstat(self._output.fileno()).st_size - start
        return os.pread(self._output.fileno(), size, start).decode(errors="replace")
