# -*- test-case-name: tests.testing.test_pytestplugin -*-
"""
Fixtures for pytest, which finds them by itself where this package is installed.

 - C{muxd_daemon}: a daemon with simulated phones, a L{Simulation}; while the test runs,
   C{USBMUXD_SOCKET_ADDRESS} leads there
 - C{simulated_phone}: its first phone, a L{SimulatedPhone}

The marker C{muxd} has the arguments of L{Simulation}::

    @pytest.mark.muxd(count=2, trust="ask")
    def test_two(muxd_daemon):
        ...

Each test has a daemon of its own, so they can run at once (pytest-xdist).  The test needs
no Twisted.  What the daemon has logged is shown with a test that fails.

pytest imports this module in all of its runs, of whichever project: nothing else is
imported here before a fixture is used.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from muxd.testing.simulation import SimulatedPhone, Simulation

MARKER = "muxd"


def pytest_configure(config: pytest.Config) -> None:
    """
    Make the marker known.
    """
    config.addinivalue_line(
        "markers",
        f"{MARKER}(count=1, preflight=False, patience=30, **options): how many simulated phones"
        " muxd_daemon has, and of which kind: the arguments of muxd.testing.Simulation",
    )


@pytest.fixture
def muxd_daemon(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Simulation]:
    """
    A daemon with simulated phones, to which USBMUXD_SOCKET_ADDRESS leads.
    """
    from muxd.testing.simulation import Simulation

    marker = request.node.get_closest_marker(MARKER)
    simulation = Simulation(*marker.args, **marker.kwargs) if marker else Simulation()
    try:
        with simulation:
            monkeypatch.setenv("USBMUXD_SOCKET_ADDRESS", simulation.address)
            yield simulation
    finally:
        # Captured, and shown if the test fails.
        print(simulation.log)


@pytest.fixture
def simulated_phone(muxd_daemon: Simulation) -> SimulatedPhone:
    """
    The first phone of muxd_daemon, plugged in and listed.
    """
    return muxd_daemon.phones[0]
