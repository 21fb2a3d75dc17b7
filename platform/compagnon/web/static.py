"""Static files of every package, at addresses that change with the files, so that browsers keep them for ever.

One digest over all files is part of each address: an ES module's relative imports then have the right address too.
"""

from __future__ import annotations

import gzip
import hashlib
import mimetypes
import posixpath
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any

from litestar import Request, Response, get
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath, PathParameter
from markupsafe import Markup

from compagnon.errors import NotFound
from compagnon.i18n import N_

TYPES = {
    ".js": "text/javascript; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
    ".woff2": "font/woff2",
    ".wasm": "application/wasm",
    ".json": "application/json",
    ".webmanifest": "application/manifest+json",
}
COMPRESSED = (".js", ".mjs", ".css", ".svg", ".json", ".webmanifest")
IMPORT = re.compile(
    r"""^(?:import|export)\s(?:[^'"]*?from\s*)?["'](\.[^"']+)["']""", re.MULTILINE
)  # of our own modules
FOR_EVER = "public, max-age=31536000, immutable"
ASK_AGAIN = "public, no-cache"


@dataclass(slots=True, kw_only=True)
class StaticFile:
    path: Path
    media_type: str
    content: bytes
    packed: bytes | None = field(default=None)

    def gzipped(self) -> bytes | None:
        """The file gzipped, once; None where that saves nothing."""
        if self.path.suffix not in COMPRESSED or len(self.content) < 1024:
            return None
        if self.packed is None:
            self.packed = gzip.compress(self.content, 6, mtime=0)
        return self.packed


class StaticFiles:
    """All files of ``<package>/static/``, in memory (a few megabytes), by their path below ``static``."""

    def __init__(self, packages: Sequence[str]) -> None:
        self._files: dict[str, StaticFile] = {}
        for package in packages:
            self._add(Path(str(files(package).joinpath("static"))))
        self.digest = self._digest()
        self._below: dict[str, Sequence[str]] = {}

    def _add(self, folder: Path) -> None:
        for path in sorted(folder.rglob("*")):
            name = path.relative_to(folder).as_posix()
            if path.is_file() and not path.name.startswith("."):
                self._files.setdefault(name, StaticFile(path=path, media_type=_type(path), content=path.read_bytes()))

    def _digest(self) -> str:
        whole = hashlib.sha256()
        for name in sorted(self._files):
            whole.update(name.encode() + b"\0" + hashlib.sha256(self._files[name].content).digest())
        return whole.hexdigest()[:12]

    @property
    def names(self) -> Sequence[str]:
        return tuple(self._files)

    def url(self, name: str) -> str:
        """The address of a file: ``static('tickets/list.js')``. Raises LookupError for one that is not there."""
        if name not in self._files:
            raise LookupError(f"no static file {name!r} (vendor files: run scripts/assets.py)")
        return f"/static/{self.digest}/{name}"

    def module(self, name: str) -> Markup:
        """The script element of an ES module, and a preload for each module below it: a browser that has none of them
        would ask for them level by level. Raises LookupError.
        """
        preloads = [Markup('<link rel="modulepreload" href="{}">').format(self.url(each)) for each in self.below(name)]
        return Markup("").join([*preloads, Markup('<script type="module" src="{}"></script>').format(self.url(name))])

    def below(self, name: str) -> Sequence[str]:
        """The modules that ``name`` imports, and those that they import, each once. Raises LookupError."""
        if name not in self._below:
            found: dict[str, None] = {}
            waiting = [name]
            while waiting:
                imported = self._imports(waiting.pop())
                waiting += [each for each in imported if each not in found]
                found |= dict.fromkeys(imported)
            self._below[name] = tuple(found)
        return self._below[name]

    def _imports(self, name: str) -> Sequence[str]:
        self.url(name)
        text = self._files[name].content.decode()
        return [posixpath.normpath(f"{posixpath.dirname(name)}/{each}") for each in IMPORT.findall(text)]

    def get(self, name: str) -> StaticFile:
        found = self._files.get(name)
        if found is None:
            raise NotFound(N_("There is no such file."))
        return found

    def handler(self) -> HTTPRouteHandler:
        """``GET /static/{digest}/{path}``; an address with an older digest is answered with today's file, not kept."""

        @get("/static/{digest:str}/{name:path}", opt={"public": True, "anonymous": True, "cache": True})
        async def static_file(
            request: Request[Any, Any, Any], digest: Annotated[str, PathParameter(max_length=64)], name: FromPath[Path]
        ) -> Response[bytes]:
            """A file of the pages; its address changes with its content, so browsers keep it for good."""
            return self._answer(request, digest, name.as_posix().lstrip("/"))

        return static_file

    def _answer(self, request: Request[Any, Any, Any], digest: str, name: str) -> Response[bytes]:
        found = self.get(name)
        headers = {"Cache-Control": FOR_EVER if digest == self.digest else ASK_AGAIN, "Vary": "Accept-Encoding"}
        packed = found.gzipped() if "gzip" in request.headers.get("accept-encoding", "") else None
        if packed is not None:
            headers["Content-Encoding"] = "gzip"
        return Response(packed or found.content, media_type=found.media_type, headers=headers)


def _type(path: Path) -> str:
    return TYPES.get(path.suffix) or mimetypes.guess_type(path.name)[0] or "application/octet-stream"
