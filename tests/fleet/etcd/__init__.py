"""
Tests of L{muxd.fleet.etcd}.
"""
