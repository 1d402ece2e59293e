"""
For programs that use a daemon, whichever it is: an endpoint, a client, a watcher
of devices; and the same for programs that block.

Nothing is imported here: the endpoint's parser has to be light, and the blocking
client does without Twisted.
"""
