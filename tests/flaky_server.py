"""A small server on this machine that can misbehave, for downloads to be tested against."""

import contextlib
import http.server
import threading
from collections.abc import Iterator


class Server(http.server.ThreadingHTTPServer):
    """Serves `body`; the attributes say how it misbehaves."""

    body: bytes
    ranges = True
    etag = '"one"'
    content_type = "application/octet-stream"
    elsewhere = ""  # where to send those who ask for /moved
    cut_after: list[int]  # for each coming answer, how many bytes to send before hanging up
    status: list[int]  # for each coming answer, an error to give instead
    seen: list[dict]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        server = self.server
        server.seen.append(dict(self.headers))
        if server.status:
            return self.send_error(server.status.pop(0))
        if self.path == "/moved":
            self.send_response(302)
            self.send_header("Location", server.elsewhere)
            self.end_headers()
            return None
        start, status = 0, 200
        asked = self.headers.get("Range")
        same = self.headers.get("If-Range", server.etag) == server.etag
        if server.ranges and asked and same:
            start, status = int(asked.removeprefix("bytes=").removesuffix("-")), 206
            if start >= len(server.body):
                return self.send_error(416)
        body = server.body[start:]
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Content-Type", server.content_type)
        if server.etag:
            self.send_header("ETag", server.etag)
        if status == 206:
            end = len(server.body) - 1
            self.send_header("Content-Range", f"bytes {start}-{end}/{len(server.body)}")
        self.end_headers()
        self.wfile.write(body[: server.cut_after.pop(0)] if server.cut_after else body)
        return None

    def log_message(self, *args):
        """Says nothing in the tests' output."""


@contextlib.contextmanager
def serving(body: bytes, content_type: str = "application/octet-stream") -> Iterator[Server]:
    """Runs a server that gives out `body`."""
    with Server(("127.0.0.1", 0), Handler) as running:
        running.body, running.content_type = body, content_type
        running.cut_after, running.status, running.seen = [], [], []
        thread = threading.Thread(target=running.serve_forever, args=(0.01,))
        thread.start()
        yield running
        running.shutdown()
        thread.join()
