"""
A fleet on networks of its own, with the engines that people run: what it survives.

Each hub, host, job and node of etcd is a process in a network namespace of its own, and a router
is between them all, which can lose packets from one to another.
"""
