"""
A fleet's registry in etcd, for two hubs and more.
"""
