"""A site of another origin than the service."""

from http.server import BaseHTTPRequestHandler

from service.http.page import WEB

CLIENT = (WEB / "client.js").read_bytes()
DIVE = (WEB / "demo/dive.mp4").read_bytes()


class Elsewhere(BaseHTTPRequestHandler):
    """Another site: a page, its copy of the client, a clip, and a proxy that is busy once."""

    protocol_version = "HTTP/1.1"
    busy = True

    def do_GET(self) -> None:
        kinds = {
            "/": ("text/html", b"<!doctype html><title>judges</title>"),
            "/client.js": ("text/javascript", CLIENT),
            "/dive.mp4": ("video/mp4", DIVE),
        }
        kind, body = kinds.get(self.path, ("text/plain", b""))
        self.answer(200, kind, body)

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        if type(self).busy:
            type(self).busy = False
            self.answer(503, "text/html", b"<h1>Busy</h1>", **{"Retry-After": "1"})
        else:
            self.answer(200, "application/json", b'{"score": 12.5}')

    def answer(self, status: int, kind: str, body: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in {
            "Content-Type": kind,
            "Content-Length": str(len(body)),
            **headers,
        }.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass
