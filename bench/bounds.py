# -*- test-case-name: tests.bench.test_goals -*-
"""
What bounds each row: why it is not faster, in a few words for docs/performance.md.

These are findings, not guesses: an entry is added when a profile, a count of
system calls or an experiment has shown it.
"""

from __future__ import annotations

from collections.abc import Mapping

BOUNDS: Mapping[str, str] = {
    "tcp.echo-60000": "iproxy: its last segment waits for an acknowledgement, 44 ms",
    "relay.echo-60000": "iproxy: its last segment waits for an acknowledgement, 44 ms",
    "relay.connects-1": "iproxy: stands still, see above",
    "relay.connects-32": "iproxy: stands still, see above",
    "unpaced.start": "muxd: importing Twisted",
    "unpaced.download-1": "C: its acknowledgement timer, whenever the window is one burst",
    "unpaced.download-16": "muxd: Python for each packet; of 16 windows C always has one open",
    "unpaced.upload-1": "muxd: Python for each segment, see below",
    "unpaced.upload-4": "muxd: Python for each segment, see below",
    "unpaced.echo-1": "muxd: three turns of the reactor an echo, see below",
    "unpaced.echo-1-beside-downloads": "muxd: the downloads' packets before it; C's stand still",
    "unpaced.connects-1": "muxd: Python for accept, request, session and close, see below",
    "unpaced.connects-32": "muxd: Python for accept, request, session and close, see below",
    "unpaced.plug-last": "both: a send, and waking a client, for each listener",
    "unpaced.8-phones-download-1": "C: its acknowledgement timer, once for each phone",
    "unpaced.idle-4000-opening": "C: every list is walked for every event",
    "unpaced.idle-4000-download": "C: every list is walked for every event",
    "unpaced.idle-4000-echo": "C: every list is walked for every event",
    "usb2.download-1": "the bus; CPU: a cold turn of the reactor for each packet",
    "usb2.download-4": "the bus; CPU: a cold turn of the reactor for each packet",
    "usb2.upload-1": "the bus; CPU: a cold turn of the reactor for each packet",
    "usb2.upload-4": "the bus; CPU: a cold turn of the reactor for each packet",
    "usb2.echo-1": "muxd: three turns of the reactor an echo, see below",
    "usb2.echo-1-beside-downloads": "both: the phone's turns, and the reads already posted",
    "usb2.echo-1-beside-uploads": "both: the transfers before it, two of ours, C's whole windows",
    "super.upload-1": "muxd: Python for each segment, see below",
    "super.download-1": "both: one window of 128 KiB, and what a wake-up takes",
    "super.download-4": "the bus; C: three reads of 16 KiB in flight",
}
