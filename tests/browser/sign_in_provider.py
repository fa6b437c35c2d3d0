"""A small OpenID provider: the user chooses an address, and the provider signs a token for it."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from html import escape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlencode, urlsplit

from joserfc import jwt
from joserfc.jwk import RSAKey

CLIENT = "hemodetect"


@contextmanager
def sign_in_provider(people: Sequence[tuple[str, bool]]) -> Iterator[str]:
    """Runs a provider; yields its address. `people`: e-mail address, and whether it is verified."""
    key = RSAKey.generate_key(2048, parameters={"kid": "1"})
    sign_ins: dict[str, tuple[str, str]] = {}  # code -> nonce, address
    verified = dict(people)

    class Provider(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            url = urlsplit(self.path)
            query = {name: values[0] for name, values in parse_qs(url.query).items()}
            if url.path == "/.well-known/openid-configuration":
                self._json(
                    {
                        "issuer": issuer,
                        "authorization_endpoint": f"{issuer}/authorize",
                        "token_endpoint": f"{issuer}/token",
                        "jwks_uri": f"{issuer}/keys",
                        "response_types_supported": ["code"],
                        "subject_types_supported": ["public"],
                        "id_token_signing_alg_values_supported": ["RS256"],
                    }
                )
            elif url.path == "/keys":
                self._json({"keys": [key.as_dict(private=False)]})
            elif url.path == "/authorize":
                self._choose(query)

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            nonce, address = sign_ins.pop(parse_qs(body)["code"][0])
            claims = {
                "iss": issuer, "aud": CLIENT, "sub": address, "email": address, "nonce": nonce,
                "email_verified": verified[address], "iat": int(time.time()),
                "exp": int(time.time()) + 600,
            }  # fmt: skip
            token = jwt.encode({"alg": "RS256", "kid": "1"}, claims, key)
            self._json({"access_token": "-", "token_type": "Bearer", "id_token": token})

        def _choose(self, query: dict[str, str]) -> None:
            links = []
            for number, (address, _) in enumerate(people):
                code = f"{len(sign_ins)}-{number}"
                sign_ins[code] = query["nonce"], address
                reply = urlencode({"code": code, "state": query["state"]})
                link = escape(f"{query['redirect_uri']}?{reply}")
                links.append(f'<a href="{link}">{escape(address)}</a>')
            self._answer("text/html", " ".join(links))

        def _json(self, content: object) -> None:
            self._answer("application/json", json.dumps(content))

        def _answer(self, kind: str, text: str) -> None:
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_: object) -> None:
            """Writes no log, which would mix with the output of the tests."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Provider)
    issuer = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield issuer
    finally:
        server.shutdown()
        server.server_close()
