# -*- test-case-name: tests.net.test_tlsreasons -*-
"""
Why a connection with TLS has ended, for people.

No library is imported in here, since programs without TLS ask as well: errors are known by
what they are called and what they say.
"""

from __future__ import annotations

_ALERTS = {
    "certificate expired": "our certificate has expired; renew it with muxctl cert",
    "certificate revoked": "our certificate was revoked",
    "certificate required": "it wants a certificate, and we have shown none",
    "unknown ca": "our certificate is another authority's than its own",
    "bad certificate": "our certificate is none of those that it lets in",
    "unsupported certificate": "our certificate is for another purpose",
    "certificate unknown": "it does not accept our certificate",
}
"""What a peer has sent, by what OpenSSL calls it."""

_MISTRUSTED = "certificate verify failed"
_MISNAMED = "its certificate has not the name that is expected; say which it has with server="


def tlsReason(error: BaseException | None) -> str:
    """
    Why it has ended; nothing if TLS has nothing to do with it.
    """
    kind = type(error)
    text = str(error)
    if kind.__name__ == "VerificationError":
        return _MISNAMED
    isOpenSSLs = kind.__module__.startswith("OpenSSL") or kind.__module__ == "ssl"
    if not isOpenSSLs and kind.__name__ != "SSLError":
        return ""
    spoken = text.lower().replace("_", " ")
    for alert, reason in _ALERTS.items():
        if f"alert {alert}" in spoken:
            return reason
    if "hostname mismatch" in spoken or "ip address mismatch" in spoken:
        return _MISNAMED
    if _MISTRUSTED in spoken:
        return "its certificate is not believed: it is another authority's, expired or revoked"
    return f"TLS failed: {text}" if "SSL routines" in text or kind.__module__ == "ssl" else ""
