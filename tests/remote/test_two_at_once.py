"""Two members type into one terminal at once while its keyboard goes from one to the other and back."""

from __future__ import annotations

import asyncio
import itertools
import json
import string

from remote_parts import Page, until

PASSES = 20


class Typist(Page):
    """A page whose member never pauses. What is refused it throws away, and asks where it goes on: as keyboard.js."""

    asked: int = 0
    asking: int = 0

    async def _hear(self, note: dict) -> None:
        if note["type"] == "refused" and not self.asking:
            del self.typed[note["upto"] :]
            self.asked += 1
            self.asking = self.asked
            await self.socket.send(json.dumps({"type": "again", "number": self.asking}))
        if note["type"] == "resume" and self.asking:
            if note.get("number") != self.asking:
                return
            self.asking = 0
        await super()._hear(note)

    async def type(self, text: str) -> None:
        if self.asking:
            self.typed += text.encode()
        else:
            await super().type(text)

    async def keep_typing(self, letters: str) -> None:
        for letter in itertools.cycle(letters):
            await self.type(letter)
            await asyncio.sleep(0.002)


async def test_every_byte_is_the_holders_and_arrives_once_in_order(server, cast, agent, session, client_for):
    sessions = server.services.remote.sessions
    await sessions.invite(cast.alice, session.id, cast.bruno.id)
    got = agent.folder / "got"
    alice = Typist(base=server.url, http=await client_for(cast.alice), session_id=session.id, viewer="a" * 16)
    bruno = Typist(base=server.url, http=await client_for(cast.bruno), session_id=session.id, viewer="b" * 16)
    await asyncio.gather(alice.open(), bruno.open())
    await until(lambda: alice.last("welcome") and bruno.last("welcome"))
    await alice.type(f"stty raw -echo; echo rea''dy; exec cat > {got}\r")
    await alice.see("ready")
    before = len(alice.typed)
    room = sessions._rooms.get(session.id)
    typing = [
        asyncio.create_task(alice.keep_typing(string.ascii_uppercase)),
        asyncio.create_task(bruno.keep_typing(string.ascii_lowercase)),
    ]
    holders = [cast.alice, cast.bruno]
    for turn in range(PASSES):
        await asyncio.sleep(0.05)
        await sessions.hand_over(holders[turn % 2], session.id, holders[(turn + 1) % 2].id)
    for task in typing:
        task.cancel()
    await asyncio.sleep(0.3)  # what is under way is taken or refused
    taken = {
        page.viewer: room.typed.taken(f"{who.id}.{page.viewer}")
        for page, who in ((alice, cast.alice), (bruno, cast.bruno))
    }
    wanted = taken[alice.viewer] - before + taken[bruno.viewer]
    await until(lambda: got.exists() and got.stat().st_size >= wanted, what="what was taken is with the machine")
    found = got.read_text()
    assert len(found) == wanted, "what was refused stayed out"
    assert "".join(filter(str.isupper, found)) == alice.typed[before : taken[alice.viewer]].decode()
    assert "".join(filter(str.islower, found)) == bruno.typed[: taken[bruno.viewer]].decode()
    assert min(taken[alice.viewer] - before, taken[bruno.viewer]) > PASSES, "both typed in their turns"
    assert bruno.last("refused"), "and out of them"
    turns = len(list(itertools.groupby(found, str.isupper)))
    assert turns <= PASSES + 1, "only the holder's come through in each turn"
    await alice.close()
    await bruno.close()
