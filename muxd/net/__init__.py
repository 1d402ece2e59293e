"""
Everything that knows Twisted's sockets from inside: listening and accepting, pipes
between two transports, and what the kernel says of a socket's other end.
"""
