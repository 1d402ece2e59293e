# -*- test-case-name: tests.phone.lockdown.test_lockdownd -*-
"""
The key of every simulated iPhone.

It is no secret: it is in this file, and it protects nothing.  A phone that made one
of its own would take as long to start as a key takes to make.
"""

PUBLIC_KEY = b"""\
-----BEGIN RSA PUBLIC KEY-----
MIIBCgKCAQEA0sIOxuztafzt9plHK+qJUM8CMg5QeqgWpEQ11ps/qYtM/v2yXUNg
+feI0cfAHn0OHe4e+ga0uEiUE5zS9JZ8V1kKx3OxBS8024hjZdL+Dx4e0k1j7NtQ
9mYDrZiYJbu0wCpaXvBmnkxfhXOWJy77gSuePe03hDaKNuaxhFDCCo0hIHIxvAkT
RrFSIiZusmJw/aTT0Mtacx2RZMDmgozFIYwsGzApzKeqiZ/BBsRducwRgW4Bi02y
62MzpAtGYLnkwPmKjuv2UqLGysd7ZEq0t2RellTU1OSgieVVae5j29SaK2WW5w9J
2dNaAAyj8A1ZoZcxI4XwXkjzFWo7SAs9WQIDAQAB
-----END RSA PUBLIC KEY-----
"""

PRIVATE_KEY = b"""\
-----BEGIN RSA PRIVATE KEY-----
MIIEowIBAAKCAQEA0sIOxuztafzt9plHK+qJUM8CMg5QeqgWpEQ11ps/qYtM/v2y
XUNg+feI0cfAHn0OHe4e+ga0uEiUE5zS9JZ8V1kKx3OxBS8024hjZdL+Dx4e0k1j
7NtQ9mYDrZiYJbu0wCpaXvBmnkxfhXOWJy77gSuePe03hDaKNuaxhFDCCo0hIHIx
vAkTRrFSIiZusmJw/aTT0Mtacx2RZMDmgozFIYwsGzApzKeqiZ/BBsRducwRgW4B
i02y62MzpAtGYLnkwPmKjuv2UqLGysd7ZEq0t2RellTU1OSgieVVae5j29SaK2WW
5w9J2dNaAAyj8A1ZoZcxI4XwXkjzFWo7SAs9WQIDAQABAoIBAAP1kk/UCUe+8Sd7
TKt7XfYEgDQ5hvMu74dJeBYegi0os/BsX//sMUkGM0NMSdnTcULzA2ZLXvTBTvV+
sjXXEoyU3HolEb5uWxiusL4BHzW10/q7v8n7esNjj452JJGSO6c1LyUZG2G+Pzh4
vz7gMpMEI0ENkPKXuwlPVHwPBP4sDMqajJv15D7+6XYkdY/t6nUmaI3PbnH2FXmj
6qgD/L8yUFcF0dgQHVYMC6TTbIxpXQHiLn4fezPeAV9/byWqxZzVT9igBb+loqsD
CBFqXDlGdlmySvMDmnM1XpDTQ965kseS2dSeNuShXezSgKnjgXb/tej1drxYNVHE
bT1I2asCgYEA/g6J/u5+moYwNu5krchbOUyw9G2ZwyeH2yHFQfUlliHmp8H7yJZK
HzjlojxR5o+u1bN/UzRFlkH7bAkykIX8lVf4GkuAc/u77jgvIUuogkNb1wo3l1dn
GUT3d3HUq8gbQDXZkAAOWWHT5qR9+uwtgYARgI/UHGQex7W00QIRpmcCgYEA1F68
l50XpljrwAMm1fBFTxrInWSDf4Jee/5sG4EJLZL9MBDPj1z674o+veLdeRrQl7Gu
+a/b7YbzApZ8QQtgwa6cCLD1ZRbzrB0bMcSto5wgLE0Ur0UGkEi+gV0oBpvCMAe2
xu9Pxznx9Ua+jph5/NSEFHQUlyCb+oPEu0EAJj8CgYEA3VuxpOwMZ3rv24zPMBPY
WA6YSACO7tksqCO+iX+dpjgXjqeYR+ea4aVjf33rJmaewRhKoiZzUz5eYH2LDx2P
PFiPlemfHG+ECUXu2qXfRtCF3tHKKhU/gWbz76DA2oPaKpJA5BUIa5yvUtCT6+OI
qsL5fPjUqYAayYtq5olU85UCgYA9QsrSTX2Z/cKb1Azq3/GOXSKLzIfmS1woFn9m
+7UDEYi5yc+mAmNcoBtzOTM8ERElARuBaUpe3XPSRki3lqmllVHra+iN7a4C8y56
D8srDAl33hBecuHu0x0pQg8ewOWmZ0NBZZ000jFK2Mp1ZeSim0cygz3BTqXQARzK
C3kYjwKBgGWdYUkdviczgOR1Eo5og25VvycF9lTgRgS7LrQz1+WyFoWDFYtWoenK
YA932s/0S1DfxJzp5woknZAip+/s05qKyOTBmWfIQRPpm5dqlrdLZ6Twj88SOUSU
plAY+gx0rkoRz9rk/UGjgygnSfAsno92EhgYKB9mgjuxfDqb+e8R
-----END RSA PRIVATE KEY-----
"""
