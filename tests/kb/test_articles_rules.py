"""Articles without a database: what is said, what is missing, which articles a text names, which files may be kept."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compagnon.errors import Invalid
from compagnon.web.forms import Form
from kb.articles import files
from kb.articles.model import Content, Lack, Solution, columns, digest, lacks, mentioned
from kb.articles.reading import content_of, differences
from kb.articles.texts import clean

WORDS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=40)
CONTENTS = st.builds(
    Content,
    title=WORDS.filter(str.strip),
    condition=WORDS,
    solutions=st.lists(st.builds(Solution, cause=WORDS, remedy=WORDS), max_size=4),
    error_codes=st.lists(WORDS, max_size=5),
    os=st.lists(st.sampled_from(["linux", "windows", "macos", "beos"]), max_size=3),
    known_error=st.booleans(),
    workaround=WORDS,
)


@given(CONTENTS)
def test_what_is_kept_once_is_kept_the_same_again(content: Content) -> None:
    once = clean(content)
    assert clean(once) == once
    assert digest(clean(once)) == digest(once)
    assert Content(**columns(once)) == once


@given(CONTENTS, CONTENTS)
def test_two_contents_differ_where_their_digests_do(one: Content, other: Content) -> None:
    one, other = clean(one), clean(other)
    assert bool(differences(one, other)) == (digest(one) != digest(other))


def test_of_a_difference_both_sides_can_be_read() -> None:
    before = Content(title="Un", solutions=[Solution(cause="c", remedy="Videz la file.")], known_error=True)
    after = Content(title="Un", solutions=[Solution(cause="c", remedy="Videz toute la file.")])
    known, remedy = differences(before, after)
    assert (known.before, known.after) == ("✓", "—")
    assert (remedy.number, remedy.prose) == (1, True)
    assert "".join(piece.text for piece in remedy.pieces if piece.kind != "added") == "Videz la file."


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (Content(title="t"), (Lack.CONDITION, Lack.REMEDY)),
        (Content(title="t", condition="c", solutions=[Solution(remedy="r")]), ()),
        (Content(title="t", condition="c", solutions=[Solution(cause="seule")]), (Lack.REMEDY,)),
        (Content(title="t", condition="c", known_error=True), (Lack.WORKAROUND,)),
        (Content(title="t", condition="c", known_error=True, workaround="w"), ()),
    ],
)
def test_what_a_review_needs(content: Content, found: tuple[Lack, ...]) -> None:
    assert lacks(content) == found


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("Voir /articles/12.", (12,)),
        ("[la file](/articles/7), puis https://kb.example.org/articles/8#feedback et /articles/7", (7, 8)),
        ("/articles/new /articles/012 /articles/12-a my/articles/3x", ()),
        ("sous/articles/5 et x/articles/6", ()),
        ("/articles/99999999999999999999", ()),
        (" ".join(f"/articles/{number}" for number in range(1, 500)), tuple(range(1, 101))),
    ],
)
def test_the_articles_that_a_text_names(text: str, ids: tuple[int, ...]) -> None:
    assert mentioned(text) == ids


def test_a_form_keeps_causes_and_remedies_in_pairs() -> None:
    pairs = {"cause": ["a", "", "c"], "remedy": ["1", "2"]}
    form = Form({"title": " T ", **pairs, "procedures": "imp-001, net-002", "error_codes": "E 1\r\nE2"})
    content = clean(content_of(form))
    assert content.title == "T"
    assert content.solutions == (Solution(cause="a", remedy="1"), Solution(remedy="2"), Solution(cause="c"))
    assert content.procedures == ("imp-001", "net-002")
    assert content.error_codes == ("E 1", "E2")


@pytest.mark.parametrize(("raw", "months"), [("", 12), ("6", 6), ("0", 0), ("-3", 0), ("1e9", 0), ("99999", 0)])
def test_a_review_interval_that_is_none_is_refused_later(raw: str, months: int) -> None:
    assert content_of(Form({"title": "t", "review_every": raw})).review_every == months


@pytest.mark.parametrize(
    ("data", "media_type"),
    [
        (b"\x89PNG\r\n\x1a\nx", "image/png"),
        (b"\xff\xd8\xffx", "image/jpeg"),
        (b"%PDF-1.4", "application/pdf"),
        ("é\n\x1b[31mrouge".encode(), "text/plain"),
        (b"<svg onload=alert(1)>", "text/plain"),
    ],
)
def test_the_type_of_a_file_is_read_from_its_bytes(data: bytes, media_type: str) -> None:
    assert files.checked_type(data) == media_type


@pytest.mark.parametrize("data", [b"", b"PK\x03\x04", b"\xff\xfe", b"a\x00b", b"x" * (files.FILE_LIMIT + 1)])
def test_other_files_are_refused(data: bytes) -> None:
    with pytest.raises(Invalid):
        files.checked_type(data)


@pytest.mark.parametrize(
    ("raw", "name"),
    [
        ("../../etc/passwd", "passwd"),
        ("C:\\dossier\\écran 1.png", "écran 1.png"),
        ('a"b\r\nc.txt', "a_b_c.txt"),
        ("...", "fichier"),
        ("x" * 300 + ".png", "x" * 116 + ".png"),
    ],
)
def test_a_files_name_means_nothing_elsewhere(raw: str, name: str) -> None:
    assert files.safe_name(raw) == name
