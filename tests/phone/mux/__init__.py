"""
Tests of L{muxd.phone.mux}.
"""
