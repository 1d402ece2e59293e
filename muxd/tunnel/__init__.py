"""
Tunnels to phones with iOS 17.4 and later: streams of IPv6 packets within a service that lockdownd
starts, a TCP of our own on top of them, and the services that a phone offers there.
"""
