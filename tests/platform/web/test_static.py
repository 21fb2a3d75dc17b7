from __future__ import annotations

import gzip
import re

import pytest

from compagnon.web.static import StaticFiles


async def test_files_are_kept_for_ever_under_the_digest_of_today(client_of) -> None:
    visitor, static = await client_of(), StaticFiles(["compagnon"])
    answer = await visitor.get(static.url("shell/shell.js"))
    assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert answer.headers["content-type"].startswith("text/javascript")
    assert "set-cookie" not in answer.headers
    older = await visitor.get("/static/000000000000/shell/shell.js")
    assert older.content == answer.content
    assert older.headers["cache-control"] == "public, no-cache"


async def test_text_is_compressed_once(client_of) -> None:
    static = StaticFiles(["compagnon"])
    found = static.get("shell/shell.css")
    packed = found.gzipped()
    assert packed is not None
    assert packed is found.gzipped()
    assert gzip.decompress(packed) == found.content
    answer = await (await client_of()).get(static.url("shell/shell.css"), headers={"accept-encoding": "identity"})
    assert "content-encoding" not in answer.headers


@pytest.mark.parametrize("name", ["../forms.py", "..%2fforms.py", "shell/../../forms.py", ".stamp", "vendor/.stamp"])
async def test_nothing_else_can_be_read(client_of, name: str) -> None:
    answer = await (await client_of()).get(f"/static/0/{name}")
    assert answer.status_code == 404


def test_a_missing_file_is_named_when_the_page_is_made() -> None:
    with pytest.raises(LookupError, match=r"nothing\.js"):
        StaticFiles(["compagnon"]).url("shell/nothing.js")


def test_a_module_comes_with_a_preload_for_each_one_below_it() -> None:
    static = StaticFiles(["compagnon", "kb", "remote"])
    made = str(static.module("remote/terminal.js"))
    below = re.findall(r'<link rel="modulepreload" href="([^"]+)">', made)
    assert static.url("remote/pulse.js") in below, "an import of an import"
    assert len(below) == len(set(below))
    assert made.endswith(f'<script type="module" src="{static.url("remote/terminal.js")}"></script>')


def test_every_import_of_a_module_is_there() -> None:
    static = StaticFiles(["compagnon", "kb", "procedures", "remote", "tickets"])
    own = [name for name in static.names if name.endswith(".js") and not name.startswith("vendor/")]
    assert sum(len(static.below(name)) for name in own) > 40, "each is found, or LookupError"
