"""A page of a session is closed when its member's right to be there ends, not only refused the next time."""

import asyncio

import pytest
from remote_parts import until

from compagnon.audit import Actor
from remote.sessions import rights
from remote.wire import NOT_ALLOWED


@pytest.fixture
def everybody(server):
    return server.services.kernel.members


async def closed(page, *, seconds=10.0):
    await until(lambda: page.socket.close_code is not None, seconds=seconds, what="the page is closed")
    assert page.socket.close_code == NOT_ALLOWED


async def test_a_removed_collaborator_is_shown_out_and_may_not_come_back(server, cast, session, ticket, page_of):
    desk = server.services.tickets.desk
    await desk.add_collaborator(ticket, cast.alice, cast.bruno.id)
    alice, bruno = await page_of(cast.alice, session), await page_of(cast.bruno, session, viewer="b" * 16)
    await desk.remove_collaborator(ticket, cast.alice, cast.bruno.id)
    await closed(bruno)
    assert (await bruno.http.post(f"/sessions/{session.id}/ticket")).status_code == 403, "having joined is no right"
    assert alice.socket.close_code is None


async def test_a_deactivated_or_signed_out_member_is_shown_out(server, cast, session, everybody, page_of):
    page = await page_of(cast.alice, session)
    await everybody.set_active(cast.alice.id, False, actor=Actor.member(cast.ada.id))
    await closed(page)


async def test_a_single_sign_out_is_noticed_without_an_event(server, cast, session, page_of, monkeypatch):
    monkeypatch.setattr(rights, "LOOK_EVERY", 0.2)
    page = await page_of(cast.alice, session)
    async with server.services.kernel.db.transaction() as conn:
        await conn.execute("DELETE FROM sign_ins WHERE member_id = %s", (cast.alice.id,))
    await closed(page)


async def test_what_is_typed_after_the_right_ended_is_dropped(server, cast, session, page_of):
    page = await page_of(cast.alice, session)
    await page.type("echo be''fore\r")
    await page.see("before")
    room = server.services.remote.sessions._rooms.get(session.id)
    for viewer in room.viewers:
        viewer.allowed = False
    await page.type("echo af''ter\r")
    await until(lambda: page.socket.close_code is not None)
    await asyncio.sleep(0.3)
    assert b"after" not in bytes(room.scrollback._data)


async def test_an_invitation_holds_as_long_as_its_host_may_act(server, cast, session, ticket, page_of):
    sessions, desk = server.services.remote.sessions, server.services.tickets.desk
    await desk.add_collaborator(ticket, cast.alice, cast.bruno.id)
    await sessions.invite(cast.bruno, session.id, cast.chloe.id)
    await sessions.invite(cast.chloe, session.id, cast.david.id)
    chloe = await page_of(cast.chloe, session, viewer="c" * 16)
    assert await sessions.may_enter(session, cast.david)
    assert not await sessions.may_enter(session, cast.ada)
    await desk.remove_collaborator(ticket, cast.alice, cast.bruno.id)
    await closed(chloe)
    assert not await sessions.may_enter(session, cast.david)


async def test_who_joined_by_right_may_be_invited_later(server, cast, session, ticket):
    sessions, desk = server.services.remote.sessions, server.services.tickets.desk
    await desk.add_collaborator(ticket, cast.alice, cast.bruno.id)
    await sessions.joined(session, cast.bruno)
    await sessions.invite(cast.alice, session.id, cast.bruno.id)
    await desk.remove_collaborator(ticket, cast.alice, cast.bruno.id)
    assert await sessions.may_enter(session, cast.bruno)
