"""Documents, folders and archives made to harm: refused or left out with a reason, in bounded time, nothing outside."""

from __future__ import annotations

import gzip
import io
import os
import tarfile
import zipfile
from pathlib import Path

import pytest
from imports_parts import MALLARD, NOTE, folder, notes, one, tarred, zipped

from compagnon.errors import Invalid
from kb.imports import archives, reading
from kb.imports.archives import read_archive
from kb.imports.formats import FORMATS, read_all
from kb.imports.model import FILE_LIMIT, Defaults, ParsedArticle, Skipped, SkipReason, SourceFile
from kb.imports.reading import Reading, read_folder

LAUGHS = '<!DOCTYPE page [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;">]>'


def reasons(found: Reading) -> dict[str, SkipReason]:
    return {skipped.path: skipped.reason for skipped in found.skipped}


@pytest.mark.parametrize(
    "text",
    [
        MALLARD.replace("<page", f"{LAUGHS}<page", 1).replace("se tait", "&b;"),
        MALLARD.replace("<page", '<!DOCTYPE page SYSTEM "file:///etc/passwd"><page', 1),
        MALLARD.replace("<page", '<!DOCTYPE page [<!ENTITY x SYSTEM "file:///etc/passwd">]><page', 1),
        MALLARD.replace("se tait", "&nbsp;"),
        MALLARD.replace("<title>", "<b>" * 100 + "</b>" * 100 + "<title>", 1),
        MALLARD.replace("<title>", "<p/>" * 60_000 + "<title>", 1),
        "<page",
        "",
    ],
    ids=["laughs", "external", "external entity", "unknown entity", "deep", "wide", "cut off", "empty"],
)
def test_xml_that_may_grow_or_reach_out_is_left_out(text: str) -> None:
    found = one(text, "mallard", "a.page")
    assert isinstance(found, Skipped)
    assert found.reason is SkipReason.XML
    assert found.detail


@pytest.mark.parametrize(
    "header",
    [
        "a: &x [1, 2]\nb: [*x, *x]",
        "title: !!python/object/apply:os.system ['true']",
        "a: " + "[" * 200 + "]" * 200,
        "a: [",
        "- only\n- a list",
        "\n".join(f"k{at}: v" for at in range(4000)),
        "a: " + "x" * 40_000,
        "title: \u0007",
    ],
    ids=["aliases", "tag", "deep", "open", "list", "many", "long", "control"],
)
def test_yaml_that_may_grow_or_run_is_left_out(header: str) -> None:
    found = one(f"---\n{header}\n---\n{NOTE}", "notes")
    assert isinstance(found, Skipped)
    assert found.reason is SkipReason.FRONT_MATTER


@pytest.mark.parametrize(
    "text",
    [
        "[" * 200_000,
        "![" * 100_000,
        "[a](" * 50_000,
        "`" * 100_000 + "a",
        "``a`b```" * 10_000,
        "> " * 100_000 + "x",
        "- " * 50_000,
        "<a href=" * 30_000,
        "<!--" * 50_000,
        "".join(f"{' ' * 4 * at}!!! note\n" for at in range(400)),
        '=== "x"\n' * 20_000,
        "#" * 100_000,
        "[a]: b\n" * 20_000 + "[a]" * 20_000,
        "\n" * 200_000,
        "```\n" * 50_000,
        "a\n===\n" * 30_000,
    ],
)
@pytest.mark.timeout(60)
def test_markdown_made_to_be_slow_is_read_in_bounded_time(text: str) -> None:
    for name in ("notes", "alchemy", "rocky", "runbooks"):
        found = FORMATS[name].parse(SourceFile(path="a.md", text=f"# T\n\n{text}\n"), Defaults())
        assert isinstance(found, ParsedArticle | Skipped)


def test_control_characters_make_a_file_no_text() -> None:
    files = [SourceFile(path="a.md", text="# T\n\n\x005\x00\n"), SourceFile(path="b.md", text="# T\n\n\x1b[31mred\n")]
    assert [one.reason for one in read_all(files, FORMATS["notes"], Defaults()).skipped] == [SkipReason.BINARY] * 2


def test_a_folder_with_everything_that_can_be_wrong(tmp_path: Path) -> None:
    secret = folder(tmp_path / "outside", {"secret.md": "# Secret\n\nx\n"})
    root = folder(
        tmp_path / "in",
        {
            "good.md": "\ufeff# Bon\r\n\r\nTexte\r\n",
            "large.md": b"#" * (10 * 1024 * 1024),
            "binary.md": b"# T\0",
            "latin.md": "# Été".encode("latin-1"),
            "utf16.md": "# Été".encode("utf-16"),
            ".git/hidden.md": "# H\n\nx\n",
            "picture.png": b"\x89PNG",
            f"{'x' * 240}/{'y' * 200}.md": NOTE,
        },
    )
    (root / "link.md").symlink_to(secret / "secret.md")
    (root / "linked").symlink_to(secret)
    os.mkfifo(root / "pipe.md")
    Path(os.fsdecode(os.fsencode(root) + b"/\xff\xfe.md")).write_text("# T\n")
    found = read_folder(root)
    assert [(file.path, file.text) for file in found.files] == [("good.md", "# Bon\n\nTexte\n")]
    assert reasons(found) == {
        "large.md": SkipReason.TOO_LARGE,
        "binary.md": SkipReason.BINARY,
        "latin.md": SkipReason.ENCODING,
        "utf16.md": SkipReason.ENCODING,
        "picture.png": SkipReason.OTHER_FILE,
        "link.md": SkipReason.LINK,
        "linked": SkipReason.LINK,
        "pipe.md": SkipReason.UNREADABLE,
        "\ufffd\ufffd.md": SkipReason.NAME,
        f"{'x' * 240}/{'y' * 200}.md"[:400]: SkipReason.NAME,
    }


def test_no_folder_is_said(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="There is no folder"):
        read_folder(tmp_path / "nowhere")


def test_a_zip_leads_nowhere_outside() -> None:
    link = zipfile.ZipInfo("link.md")
    link.external_attr = 0o120777 << 16
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in ("../up.md", "/abs.md", "a/../../b.md", "C:/x.md", "a\\b.md", "ok/good.md"):
            archive.writestr(name, NOTE)
        archive.writestr(link, "/etc/passwd")
    found = read_archive(buffer.getvalue())
    assert [file.path for file in found.files] == ["ok/good.md"]
    assert set(reasons(found).values()) == {SkipReason.NAME, SkipReason.LINK}
    assert len(found.skipped) == 6


def test_a_tar_leads_nowhere_outside() -> None:
    link, device = tarfile.TarInfo("link.md"), tarfile.TarInfo("null.md")
    link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
    device.type = tarfile.CHRTYPE
    found = read_archive(tarred({"../up.md": NOTE, "/abs.md": NOTE, "good.md": NOTE}, link, device))
    assert [file.path for file in found.files] == ["good.md"]
    assert reasons(found) == {
        "../up.md": SkipReason.NAME,
        "/abs.md": SkipReason.NAME,
        "link.md": SkipReason.LINK,
        "null.md": SkipReason.UNREADABLE,
    }


@pytest.mark.parametrize("pack", [zipped, tarred])
def test_the_folder_around_everything_and_what_systems_add_are_left_out(pack: object) -> None:
    texts = {"set/a.md": NOTE, "set/b/c.md": NOTE, "__MACOSX/set/._a.md": "x", "set/.git/x.md": "x"}
    assert [file.path for file in read_archive(pack(texts)).files] == ["a.md", "b/c.md"]  # type: ignore[operator]


def test_a_file_that_grows_is_read_no_further_than_its_limit() -> None:
    found = read_archive(zipped({"bomb.md": b"0" * (50 * FILE_LIMIT), "good.md": NOTE}))
    assert reasons(found) == {"bomb.md": SkipReason.TOO_LARGE}


def test_an_archive_that_grows_is_read_no_further(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "UNPACKED_LIMIT", 5_000_000)
    with pytest.raises(Invalid, match="grows to more than 5 MB"):
        read_archive(tarred({"a.bin": b"0" * 20_000_000, "good.md": NOTE}))
    monkeypatch.setattr(reading, "TOTAL_LIMIT", 900)
    with pytest.raises(Invalid, match="MB of documents"):
        read_archive(zipped(notes(40)))


def test_too_many_files_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "FILES_LIMIT", 20)
    monkeypatch.setattr(archives, "FILES_LIMIT", 20)
    for data in (zipped(notes(41)), zipped(notes(21)), tarred(notes(41)), tarred(notes(21))):
        with pytest.raises(Invalid, match="more than 20 files"):
            read_archive(data)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"PK",
        b"PK\x03\x04" + b"x" * 100,
        b"\x1f\x8b" + b"x" * 100,
        gzip.compress(b"no tar", mtime=0),
        tarred(notes(3))[:-50],
        zipped(notes(3))[:-30],
        b"Rar!\x1a\x07",
        b"%PDF-1.7",
    ],
)
def test_what_is_no_archive_is_refused(data: bytes) -> None:
    with pytest.raises(Invalid, match=r"\.zip or a \.tar\.gz"):
        read_archive(data)


def test_a_zip_behind_a_password_says_so() -> None:
    data = bytearray(zipped({"a.md": NOTE}))
    for mark, at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(mark) + at] |= 1
    assert reasons(read_archive(bytes(data))) == {"a.md": SkipReason.UNREADABLE}


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_name_that_comes_twice_is_taken_once() -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("a.md", NOTE)
        archive.writestr("a.md", "# Autre\n\nx\n")
    found = read_archive(buffer.getvalue())
    assert (len(found.files), reasons(found)) == (1, {"a.md": SkipReason.NAME})
