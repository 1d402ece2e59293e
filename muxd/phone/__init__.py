# -*- test-case-name: tests.importing.test_faces -*-
"""
The simulated iPhone: the far end of the muxer, its services, and its ways onto
a bus.

It is strict: whatever a host does against protocol 1 to 3 is written down in
L{Phone.violations}.  And it can be made to misbehave.

Names are imported when they are first used: the parser of C{simulated:...} has to be
light.
"""

from typing import TYPE_CHECKING

from muxd.importing.faces import lazyFace

if TYPE_CHECKING:
    from muxd.phone.bus.faultplan import FaultPlan
    from muxd.phone.iphone import Phone
    from muxd.phone.lockdown.trust import Owner
    from muxd.phone.mux.behaviour import Expectations, Faults
    from muxd.phone.service import PhoneService
    from muxd.phone.source import SimulatedSource

__all__ = [
    "Expectations",
    "FaultPlan",
    "Faults",
    "Owner",
    "Phone",
    "PhoneService",
    "SimulatedSource",
]

__getattr__, __dir__ = lazyFace(
    __name__,
    {
        "muxd.phone.mux.behaviour": ("Expectations", "Faults"),
        "muxd.phone.bus.faultplan": ("FaultPlan",),
        "muxd.phone.iphone": ("Phone",),
        "muxd.phone.source": ("SimulatedSource",),
        "muxd.phone.lockdown.trust": ("Owner",),
        "muxd.phone.service": ("PhoneService",),
    },
)
