"""Certificates for servers on loopback: `certificates.py FOLDER` writes those that doctor.py shows.

Every file but authority.pem holds its own private key.
"""

import datetime
import ipaddress
import pathlib
import sys

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

DAYS = (-1, 90)


class Authority:
    """Signs certificates, its own first."""

    def __init__(self, name):
        self.name, self.key = name, ec.generate_private_key(ec.SECP256R1())
        is_authority = x509.BasicConstraints(ca=True, path_length=0)
        self.pem = certificate(name, self.key, name, self.key, DAYS, is_authority)

    def issued(self, name, address, days=DAYS):
        """A certificate and its private key, good between these days from now on."""
        key = ec.generate_private_key(ec.SECP256R1())
        return certificate(name, key, self.name, self.key, days, *of_server(address)) + private_pem(key)


def of_server(address):
    return x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(address))]), x509.BasicConstraints(False, None)


def certificate(name, key, issuer, issuer_key, days, *extensions):
    now = datetime.datetime.now(datetime.timezone.utc)
    first, last = (now + datetime.timedelta(days=day) for day in days)
    builder = (
        x509.CertificateBuilder()
        .subject_name(named(name))
        .issuer_name(named(issuer))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(first)
        .not_valid_after(last)
    )
    for extension in extensions:
        builder = builder.add_extension(extension, critical=isinstance(extension, x509.BasicConstraints))
    return builder.sign(issuer_key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def named(name):
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def private_pem(key):
    plain = serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)


def signed_by_itself(name, address):
    key = ec.generate_private_key(ec.SECP256R1())
    return certificate(name, key, name, key, DAYS, *of_server(address)) + private_pem(key)


def main(folder):
    authority = Authority("An authority of the interop suite")
    (folder / "authority.pem").write_bytes(authority.pem)
    (folder / "good.pem").write_bytes(authority.issued("good", "127.0.0.1"))
    (folder / "named.pem").write_bytes(authority.issued("named", "127.0.0.9"))
    (folder / "expired.pem").write_bytes(authority.issued("expired", "127.0.0.1", (-90, -1)))
    (folder / "self.pem").write_bytes(signed_by_itself("self", "127.0.0.1"))


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
