"""
Attacks on a daemon, by clients of one user and by a phone, beside a client of another user:
what that one notices, and what the daemon needs meanwhile.
"""
