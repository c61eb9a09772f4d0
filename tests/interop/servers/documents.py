"""Client-id metadata documents over TLS: `documents.py PORT FOLDER` writes FOLDER/ca.pem, the authority that made its
certificate, and answers https://127.0.0.1:PORT/client.json with the document of a client of that name.
"""

import datetime
import http.server
import ipaddress
import json
import pathlib
import ssl
import sys

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

port, folder = int(sys.argv[1]), pathlib.Path(sys.argv[2])
client_id = f"https://127.0.0.1:{port}/client.json"
DOCUMENT = {
    "client_id": client_id,
    "client_name": "interop, by document",
    "redirect_uris": ["http://127.0.0.1/callback"],
    "grant_types": ["authorization_code", "refresh_token"],
    "response_types": ["code"],
    "token_endpoint_auth_method": "none",
}


def certificate(name, key, issuer, issuer_key, *extensions):
    now = datetime.datetime.now(datetime.timezone.utc)
    builder = (
        x509.CertificateBuilder()
        .subject_name(named(name))
        .issuer_name(named(issuer))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=1))
    )
    for extension in extensions:
        builder = builder.add_extension(extension, critical=isinstance(extension, x509.BasicConstraints))
    return builder.sign(issuer_key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def named(name):
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def private_pem(key):
    plain = serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)


def tls():
    authority, own = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    is_authority = x509.BasicConstraints(ca=True, path_length=0)
    here = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    (folder / "ca.pem").write_bytes(certificate("interop CA", authority, "interop CA", authority, is_authority))
    leaf = certificate("interop", own, "interop CA", authority, here, x509.BasicConstraints(False, None))
    (folder / "own.pem").write_bytes(leaf + private_pem(own))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "own.pem")
    return context


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        found = self.path == "/client.json"
        body = json.dumps(DOCUMENT).encode() if found else b"{}"
        self.send_response(200 if found else 404)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
# Handshakes happen in the threads that answer, so that nobody who merely connects holds up the rest.
server.socket = tls().wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
server.serve_forever()
