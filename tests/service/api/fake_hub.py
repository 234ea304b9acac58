"""A Hugging Face hub on this machine: serves the folders `owner/name` under a root as models and takes new ones."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

COMMIT = "a" * 40


@contextmanager
def fake_hub(root: Path) -> Iterator[tuple[str, list[str]]]:
    """Its URL, and the paths that are asked of it with GET. It takes repositories of every owner but `others`."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self._answer(body=False)

        def do_GET(self) -> None:
            asked.append(self.path)
            self._answer(body=True)

        def do_POST(self) -> None:
            asking = self.rfile.read(int(self.headers["Content-Length"]))
            parts = self.path.strip("/").split("/")
            if parts == ["api", "repos", "create"]:
                name = f"{json.loads(asking).get('organization') or 'me'}/{json.loads(asking)['name']}"
                if name.startswith("others/"):
                    self._send(None, body=True, status=403)
                    return
                (root / name).mkdir(parents=True, exist_ok=True)
                self._send(json.dumps({"url": f"http://{self.headers['Host']}/{name}"}).encode(), body=True)
            elif parts[-2] == "preupload":
                files = [
                    {"path": one["path"], "uploadMode": "regular", "shouldIgnore": False}
                    for one in json.loads(asking)["files"]
                ]
                self._send(json.dumps({"files": files}).encode(), body=True)
            elif parts[-2] == "commit":
                for line in map(json.loads, asking.splitlines()):
                    if line["key"] == "file":
                        content = base64.b64decode(line["value"]["content"])
                        (root / parts[2] / parts[3] / line["value"]["path"]).write_bytes(content)
                url = f"http://{self.headers['Host']}/{parts[2]}/{parts[3]}/commit/{COMMIT}"
                self._send(json.dumps({"success": True, "commitOid": COMMIT, "commitUrl": url}).encode(), body=True)
            else:  # a look at the card
                self._send(json.dumps({"errors": [], "warnings": []}).encode(), body=True)

        def _answer(self, body: bool) -> None:
            parts = self.path.partition("?")[0].strip("/").split("/")
            if parts[:2] == ["api", "models"]:
                folder = root / parts[2] / parts[3]
                if not folder.is_dir():
                    self._send(None, body)
                    return
                files = sorted(folder.iterdir())
                tree = [{"type": "file", "path": one.name, "size": one.stat().st_size, "oid": COMMIT} for one in files]
                about = {
                    "id": "/".join(parts[2:4]),
                    "sha": COMMIT,
                    "siblings": [{"rfilename": one.name} for one in files],
                }
                self._send(json.dumps(tree if "tree" in parts else about).encode(), body)
                return
            file = root / parts[0] / parts[1] / parts[-1]
            self._send(file.read_bytes() if file.is_file() else None, body)

        def _send(self, content: bytes | None, body: bool, status: int = 404) -> None:
            self.send_response(status if content is None else 200)
            if content is None:
                self.send_header("X-Error-Code", "EntryNotFound")
            content = content or b""
            self.send_header("Content-Length", str(len(content)))
            self.send_header("ETag", f'"{hashlib.sha1(content).hexdigest()}"')
            self.send_header("X-Repo-Commit", COMMIT)
            self.end_headers()
            if body:
                self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", asked
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
