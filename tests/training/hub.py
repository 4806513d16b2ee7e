"""A server on this machine that speaks the file protocol of the Hugging Face hub."""

import hashlib
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

COMMIT = "0123456789abcdef0123456789abcdef01234567"


class Hub(ThreadingHTTPServer):
    """Serves the files of a folder: OWNER/NAME/FILE. `asked` fills with what is asked of it.

    Of the files in `cut` it sends half and hangs up.
    """

    daemon_threads = True

    def __init__(self, folder: Path, port: int) -> None:
        super().__init__(("127.0.0.1", port), _Answer)
        self.folder = folder
        self.asked: list[str] = []
        self.cut: set[str] = set()


class _Answer(BaseHTTPRequestHandler):
    server: Hub

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self._answer(body=True)

    def _answer(self, body: bool) -> None:
        """Of /OWNER/NAME/resolve/REVISION/FILE."""
        self.server.asked.append(f"{self.command} {self.path}")
        words = self.path.partition("?")[0].strip("/").split("/")
        if len(words) != 5 or words[2] != "resolve":
            return self._missing("RepoNotFound")
        owner, name, _, revision, file = words
        repository = self.server.folder / owner / name
        if not repository.is_dir():
            return self._missing("RepoNotFound")
        if not (repository / file).is_file():
            return self._missing("EntryNotFound", revision)
        content = (repository / file).read_bytes()
        first = int(self.headers.get("Range", "bytes=0-")[6:].partition("-")[0]) if body else 0
        self.send_response(206 if first else 200)
        self.send_header("ETag", f'"{hashlib.sha256(content).hexdigest()}"')
        self._commit(revision)
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Length", str(len(content) - first))
        if first:
            self.send_header("Content-Range", f"bytes {first}-{len(content) - 1}/{len(content)}")
        self.end_headers()
        if body:
            end = len(content) // 2 if file in self.server.cut else len(content)
            self.wfile.write(content[first:end])
        self.close_connection = True

    def _missing(self, code: str, revision: str = "") -> None:
        self.send_response(404)
        self.send_header("X-Error-Code", code)
        if revision:
            self._commit(revision)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _commit(self, revision: str) -> None:
        self.send_header("X-Repo-Commit", revision if len(revision) == 40 else COMMIT)

    def log_message(self, format: str, *words: object) -> None:
        """It says nothing."""


@contextmanager
def served(folder: Path, port: int) -> Iterator[Hub]:
    """The hub is in reach within, and not before or after."""
    hub = Hub(folder, port)
    thread = threading.Thread(target=hub.serve_forever, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        hub.shutdown()
        hub.server_close()
        thread.join()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
    return port
