# -*- test-case-name: tests.tunnel.test_host -*-
"""
C{com.apple.internal.devicecompute.CoreDeviceProxy}: the phone's end of a tunnel, from iOS 17.4 on,
and what is in it: RSD, the phone's services once more, without lockdownd and without TLS, and those
that speak RemoteXPC themselves.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any
from uuid import NAMESPACE_DNS, uuid5

from twisted.internet.interfaces import IProtocolFactory, IReactorTime
from twisted.internet.protocol import Protocol
from twisted.python.filepath import FilePath

from muxd.limits import LIMITS
from muxd.phone.lockdown.values import PhoneValues
from muxd.phone.services.afcfiles import Files
from muxd.phone.services.apps import Apps
from muxd.phone.services.features import AppService, DeviceInfo
from muxd.phone.services.inet import ServiceFactory
from muxd.phone.services.ports import NamedService
from muxd.tunnel.carrier import PhoneTunnel
from muxd.tunnel.checkin import SHIM, PhoneCheckIn
from muxd.tunnel.rsd import FLAGS, PeerInfo, RemoteService, writePeerInfo
from muxd.tunnel.xpc import Unsigned

PROXY = "com.apple.internal.devicecompute.CoreDeviceProxy"
TRUSTED = "com.apple.mobile.lockdown.remote.trusted"
UNTRUSTED = "com.apple.mobile.lockdown.remote.untrusted"
SINCE = (17, 4)
"""The first system that has it."""

RSD_PORT = 58783
FIRST_PORT = 50000
"""Of the services, in the order of their names."""

PROPERTIES = {
    "BoardId": "BoardId",
    "BuildVersion": "BuildVersion",
    "CPUArchitecture": "CPUArchitecture",
    "ChipID": "ChipID",
    "DeviceClass": "DeviceClass",
    "DeviceColor": "DeviceColor",
    "HWModel": "HardwareModel",
    "HardwarePlatform": "HardwarePlatform",
    "ModelNumber": "ModelNumber",
    "OSVersion": "ProductVersion",
    "ProductName": "ProductName",
    "ProductType": "ProductType",
    "RegionInfo": "RegionInfo",
    "SerialNumber": "SerialNumber",
    "UniqueChipID": "UniqueChipID",
    "UniqueDeviceID": "UniqueDeviceID",
}
"""What RSD tells, and what lockdownd calls it."""


def hasTunnels(values: PhoneValues) -> bool:
    """
    Whether a phone's system is new enough, and the extra C{tunnel} is here.
    """
    if find_spec("hyperframe") is None:
        return False
    parts = str(values.get("ProductVersion")).split(".")[:2]
    return all(part.isdigit() for part in parts) and tuple(map(int, parts)) >= SINCE


@dataclass(frozen=True, slots=True)
class InTunnel:
    """
    A service that is only in tunnels.

    @ivar features: What it tells that it does.
    @ivar make: Makes its protocols.
    """

    name: str
    make: Callable[[], Protocol]
    isRemoteXPC: bool = False
    features: tuple[str, ...] = ()


class TunnelServices:
    """
    What is in a phone's tunnels.

    @ivar listening: By port.
    @ivar info: What RSD tells.
    """

    def __init__(
        self,
        values: PhoneValues,
        named: Mapping[str, NamedService],
        lockdown: Callable[[bool], Protocol],
        features: Iterable[DeviceInfo | AppService] = (),
        others: Iterable[InTunnel] = (),
    ) -> None:
        """
        @param named: The phone's services.
        @param lockdown: Makes a conversation with lockdownd in the tunnel, for a host that is
            trusted or not.
        @param features: Services of CoreDevice, which speak RemoteXPC themselves.
        @param others: Such as have no features to ask for.
        """
        self._values = values
        factories = {name + SHIM: service.factory for name, service in named.items()}
        factories[TRUSTED] = ServiceFactory(lambda: lockdown(True))
        factories[UNTRUSTED] = ServiceFactory(lambda: lockdown(False))
        self.listening: dict[int, IProtocolFactory] = {RSD_PORT: ServiceFactory(self._rsd)}
        services = {}
        for port, name in enumerate(sorted(factories), FIRST_PORT):
            self.listening[port] = _checkedIn(name, factories[name])
            services[name] = RemoteService(name, port)
        inside = (*map(_featured, features), *others)
        for port, each in enumerate(inside, FIRST_PORT + len(factories)):
            self.listening[port] = ServiceFactory(each.make)
            services[each.name] = RemoteService(each.name, port, each.isRemoteXPC, each.features)
        self._services = services

    @property
    def info(self) -> PeerInfo:
        """
        What RSD tells.
        """
        found = {name: self._values.get(key) for name, key in PROPERTIES.items()}
        told: dict[str, Any] = {
            name: Unsigned(value) if type(value) is int else value
            for name, value in found.items()
            if isinstance(value, str | int)
        }
        told["RemoteXPCVersionFlags"] = Unsigned(FLAGS)
        told["SensitivePropertiesVisible"] = True
        return PeerInfo(told, self._services)

    def _rsd(self) -> Protocol:
        from muxd.phone.services.rsdserver import RSDServer

        return RSDServer(self._tell)

    def _tell(self) -> dict[str, Any]:
        udid = str(self._values.get("UniqueDeviceID"))
        return writePeerInfo(self.info, uuid5(NAMESPACE_DNS, f"phone.{udid}"))


def fileServices(
    apps: Apps,
    temporary: Callable[[], FilePath[str]],
    crashes: Callable[[], FilePath[str]],
    random: Callable[[int], bytes] = os.urandom,
) -> tuple[InTunnel, InTunnel]:
    """
    CoreDevice's two services of files.

    @param temporary: Where those are that are temporary.
    @param crashes: Where crash reports are.
    @param random: Makes that many random bytes.
    """
    from muxd.phone.services.fileservice import (
        APP,
        CONTROL,
        CONTROL_FEATURES,
        CRASHES,
        DATA,
        TEMPORARY,
        FileControl,
        FileData,
        FileService,
    )

    def filesOf(name: str) -> Files | None:
        app = apps.find(name)
        return None if app is None or app.isSystem else Files(apps.container(app))

    domains: dict[int, Callable[[str], Files | None]] = {
        APP: filesOf,
        TEMPORARY: lambda name: Files(temporary()),
        CRASHES: lambda name: Files(crashes()),
    }
    service = FileService(domains, random)
    return (
        InTunnel(CONTROL, lambda: FileControl(service), True, CONTROL_FEATURES),
        InTunnel(DATA, lambda: FileData(service)),
    )


def _featured(service: DeviceInfo | AppService) -> InTunnel:
    def make() -> Protocol:
        from muxd.phone.services.featureserver import FeatureServer

        return FeatureServer(service.features)

    return InTunnel(service.name, make, True, tuple(service.features))


def _checkedIn(name: str, factory: IProtocolFactory) -> IProtocolFactory:
    return ServiceFactory(lambda: PhoneCheckIn(name, factory))


def tunnelService(
    clock: IReactorTime,
    services: TunnelServices,
    random: Callable[[int], bytes] = os.urandom,
) -> NamedService:
    """
    The service that lockdownd starts.

    @param random: Makes that many random bytes.
    """

    def make() -> PhoneTunnel:
        return PhoneTunnel(clock, random, services.listening, RSD_PORT, LIMITS)

    return NamedService(ServiceFactory(make), ssl=True)
