# -*- test-case-name: tests.bench.test_goals -*-
"""
What bounds each row: why it is not faster, in a few words for docs/performance.md.

These are findings, not guesses: an entry is added when a profile, a count of
system calls or an experiment has shown it.
"""

from __future__ import annotations

from collections.abc import Mapping

BOUNDS: Mapping[str, str] = {
    "unpaced.download-1": "C: its acknowledgement timer, whenever the window is one burst",
    "unpaced.8-phones-download-1": "C: its acknowledgement timer, once for each phone",
    "unpaced.idle-4000-opening": "C: every list is walked for every event",
    "unpaced.idle-4000-download": "C: every list is walked for every event",
    "unpaced.idle-4000-echo": "C: every list is walked for every event",
    "usb2.echo-1-beside-downloads": "both: the phone's turns, and the reads already posted",
    "usb2.echo-1-beside-uploads": "C: whole windows of the uploads are queued before it",
    "super.download-1": "C: three reads of 16 KiB in flight",
    "super.download-4": "C: three reads of 16 KiB in flight",
}
