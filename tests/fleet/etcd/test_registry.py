# -*- test-case-name: tests.fleet.etcd.test_registry -*-
"""
Tests of L{muxd.fleet.etcd.registry} and L{muxd.fleet.etcd.jobs}, with an etcd in memory.
"""

from __future__ import annotations

from tests.fleet.contract import RegistryContract
from tests.fleet.etcd.cases import EtcdCase


class EtcdContractTests(EtcdCase, RegistryContract):
    """
    The registry in etcd, as every other one.
    """
