"""Client-id metadata documents over TLS: `documents.py PORT FOLDER` writes FOLDER/ca.pem, the authority that made its
certificate, and answers https://127.0.0.1:PORT/client.json with the document of a client of that name.
"""

import http.server
import json
import pathlib
import ssl
import sys

from certificates import Authority

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


def tls():
    authority = Authority("interop CA")
    (folder / "ca.pem").write_bytes(authority.pem)
    (folder / "own.pem").write_bytes(authority.issued("interop", "127.0.0.1"))
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
