"""What may be written in a chat, and how a conversation is kept for the window that shows it."""

from __future__ import annotations

import asyncio
import unicodedata
from contextlib import suppress

from hypothesis import given
from hypothesis import strategies as st

from compagnon_agent.chatting import KEPT, Conversation
from compagnon_agent.protocol.spoken import CHARACTERS, LINES, NAME, name_of, spoken


@given(st.text(max_size=5000))
def test_whatever_is_written_is_plain_and_bounded(raw):
    said = spoken(raw)
    assert len(said) <= CHARACTERS
    assert said.count("\n") < LINES
    assert all(each == "\n" or unicodedata.category(each) not in {"Cc", "Cf", "Cs", "Co", "Cn"} for each in said)
    assert spoken(said) == said
    assert "\n" not in name_of(raw)
    assert len(name_of(raw)) <= NAME


def test_lines_and_accents_stay():
    assert spoken("  Déjà vu :\r\nœuf\tdur 🥚 ") == "Déjà vu :\nœuf dur 🥚"


class Person:
    def __init__(self, *, taken: bool = True) -> None:
        self.lines: list[str] = []
        self.types = 0
        self.taken = taken

    def said(self, text: str) -> bool:
        self.lines.append(text)
        return self.taken

    def typing(self) -> None:
        self.types += 1


async def seen(talk: Conversation, count: int) -> list:
    found = []
    with suppress(TimeoutError):
        async with asyncio.timeout(5):
            async for one in talk.follow():
                found.append(one)
                if len(found) == count:
                    break
    return found


async def test_a_window_that_opens_again_shows_what_is_kept_and_what_comes():
    talk = Conversation(Person())
    for number in range(KEPT + 20):
        talk.add("Alice", str(number))
    reading = asyncio.create_task(seen(talk, KEPT + 2))
    await asyncio.sleep(0)
    talk.add("Alice", "puis")
    talk.types("Bruno")
    shown = await reading
    assert shown[0] == {"name": "Alice", "text": "20"}
    assert shown[-2:] == [{"name": "Alice", "text": "puis"}, {"typing": "Bruno"}]


async def test_what_a_window_tells_is_read_as_hostile():
    person = Person()
    talk = Conversation(person)
    for told in (None, [], "say", {"say": 5}, {"say": " \u202e"}, {"typing": "yes"}, {"else": True}):
        talk.hear(told)
    assert (person.lines, person.types) == ([], 0)
    talk.hear({"say": "x" * 10_000})
    talk.hear({"typing": True})
    assert person.lines == ["x" * CHARACTERS]
    assert person.types == 1


async def test_a_line_that_is_not_taken_is_said_so(monkeypatch):
    monkeypatch.setenv("LC_ALL", "fr_FR.UTF-8")
    talk = Conversation(Person(taken=False))
    talk.hear({"say": "Bonjour"})
    [line] = await seen(talk, 1)
    assert "pas été envoyé" in line["text"]
