"""
One phone: its muxer (handshake, counters, dispatch) and its sessions, which
are pseudo-TCP connections with the face of Twisted transports.
"""
