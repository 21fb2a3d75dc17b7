"""Members: who they are, what they can do, whether they can be reached now."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime, timedelta

from psycopg import errors

from compagnon import audit, events
from compagnon.audit import Actor
from compagnon.auth import attempts, sign_in_store, skill_words, store
from compagnon.auth.model import (
    LOCALES,
    THEMES,
    Member,
    Role,
    Skill,
    SkilledMember,
    SkillName,
    check_departements,
    check_email,
    check_name,
    check_password,
    check_phone,
    check_skill,
)
from compagnon.auth.passwords import Passwords
from compagnon.db import Connection, Database
from compagnon.errors import Conflict, Invalid, NotFound
from compagnon.i18n import N_
from compagnon.settings import Settings

UNTIL_LIMIT = timedelta(days=366)
LIST_LIMIT = 500


class Members:
    """Every change is audited and told to ``member:<id>`` and ``members:all`` in its own transaction."""

    def __init__(self, db: Database, settings: Settings) -> None:
        self._db = db
        self._cooperative = settings.cooperative
        self.attempts = attempts.Attempts(db, settings.secret_key)
        self.passwords = Passwords()

    # reading

    async def get(self, member_id: int, *, conn: Connection | None = None) -> Member:
        """``conn``: read in the caller's transaction. Raises NotFound."""
        async with self._db.using(conn) as used:
            return await self._get(used, member_id)

    async def by_email(self, email: str) -> Member | None:
        async with self._db.connection() as conn:
            return await store.by_email(conn, email.strip().lower())

    async def several(self, ids: Collection[int]) -> dict[int, Member]:
        """The members of these ids, by id; unknown ids are left out. One query."""
        if not ids:
            return {}
        async with self._db.connection() as conn:
            return {member.id: member for member in await store.several(conn, sorted(ids))}

    async def find(self, fragment: str, limit: int = 10, *, reader: int) -> Sequence[Member]:
        """Active members whose name, address or phone holds ``fragment``, accents aside; who is available comes first.

        Nobody for a ``reader`` who is no longer a member.
        """
        async with self._db.connection() as conn:
            return await store.find(conn, _fragment(fragment), reader=reader, limit=max(1, min(limit, LIST_LIMIT)))

    async def listed(
        self,
        *,
        fragment: str = "",
        skill: str | None = None,
        level: int = 1,
        departement: str | None = None,
        inactive: bool = False,
        limit: int = LIST_LIMIT,
    ) -> Sequence[Member]:
        async with self._db.connection() as conn:
            return await store.listed(
                conn,
                fragment=_fragment(fragment),
                skill=skill or None,
                level=level,
                departement=departement or None,
                inactive=inactive,
                limit=max(1, min(limit, LIST_LIMIT)),
            )

    async def by_skill(self, skill: str, *, level: int = 1) -> Sequence[SkilledMember]:
        """Active members with at least this level of a skill, the most skilled first, then who is available."""
        async with self._db.connection() as conn:
            return await store.by_skill(conn, skill, level)

    async def skills(self, member_id: int, *, locale: str = "fr") -> tuple[Skill, ...]:
        return (await self.skills_of([member_id], locale=locale)).get(member_id, ())

    async def skills_of(self, ids: Collection[int], *, locale: str = "fr") -> dict[int, tuple[Skill, ...]]:
        """Each member's skills, the highest level first. One query."""
        async with self._db.connection() as conn:
            return await store.skills_of(conn, sorted(ids), locale)

    async def all_skills(self, *, locale: str = "fr", conn: Connection | None = None) -> Sequence[SkillName]:
        """``conn``: read in the caller's transaction."""
        async with self._db.using(conn) as used:
            found = await store.all_skills(used, locale)
        skill_words.remember(locale, found)
        return found

    async def departements(self) -> Sequence[str]:
        """The départements where active members work."""
        async with self._db.connection() as conn:
            return await store.departements(conn)

    # changing

    async def create(
        self,
        *,
        email: str,
        name: str,
        password: str,
        role: Role = Role.MEMBER,
        locale: str = "fr",
        phone: str = "",
        departements: Collection[str] = (),
        skills: Mapping[str, int] | None = None,
        actor: Actor | None = None,
    ) -> Member:
        """A new member. Raises Invalid (field at fault), Conflict when the address is taken."""
        address = check_email(email)
        values = {
            "email": address,
            "name": check_name(name),
            "phone": check_phone(phone),
            "role": Role(role),
            "locale": _known(locale, LOCALES, "locale"),
            "departements": list(check_departements(departements)),
        }
        known_skills = dict(check_skill(skill, level) for skill, level in (skills or {}).items())
        self._check_password(password, address, name)
        values["password_hash"] = await self.passwords.hash(password)
        try:
            async with self._db.transaction() as conn:
                member_id = await store.insert(conn, values)
                await store.replace_skills(conn, member_id, known_skills)
                await _told(conn, member_id, "created")
                await _noted(conn, actor, "member.created", member_id, role=Role(role), skills=known_skills)
                return await self._get(conn, member_id)
        except errors.UniqueViolation as error:
            raise _translated(error) from None

    async def update(
        self,
        member_id: int,
        *,
        email: str,
        name: str,
        role: Role,
        phone: str,
        departements: Collection[str],
        skills: Mapping[str, int],
        actor: Actor,
    ) -> Member:
        """Change what administrators may change. A new role signs the member out everywhere.

        Raises Invalid, NotFound, Conflict: the address is taken, the last administrator would be gone, someone else
        changed the role meanwhile.
        """
        known_skills = dict(check_skill(skill, level) for skill, level in skills.items())
        values = {
            "id": member_id,
            "email": check_email(email),
            "name": check_name(name),
            "phone": check_phone(phone),
            "role": Role(role),
            "departements": list(check_departements(departements)),
        }
        try:
            async with self._db.transaction() as conn:
                before = await self._get(conn, member_id)
                if before.role is Role.ADMINISTRATOR and role is not Role.ADMINISTRATOR:
                    await _keep_one_administrator(conn, member_id)
                if not await store.update(conn, {**values, "old_role": before.role}):
                    raise Conflict(N_("Someone else has just changed this member: look again."))
                await store.replace_skills(conn, member_id, known_skills)
                if before.role is not role:
                    await sign_in_store.close_all(conn, member_id)
                await _told(conn, member_id, "changed")
                details = {"role": [before.role, Role(role)], "email": [before.email, values["email"]]}
                await _noted(conn, actor, "member.changed", member_id, skills=known_skills, **details)
                return await self._get(conn, member_id)
        except errors.UniqueViolation as error:
            raise _translated(error) from None

    async def set_active(self, member_id: int, active: bool, *, actor: Actor) -> None:
        """Let a member in or keep them out; keeping out signs out everywhere. Raises NotFound, Conflict."""
        async with self._db.transaction() as conn:
            before = await self._get(conn, member_id)
            if not active and before.role is Role.ADMINISTRATOR:
                await _keep_one_administrator(conn, member_id)
            if not await store.set_active(conn, member_id, active):
                raise Conflict(N_("This was done already."))
            if not active:
                await sign_in_store.close_all(conn, member_id)
            await _told(conn, member_id, "changed")
            await _noted(conn, actor, "member.activated" if active else "member.deactivated", member_id)

    async def set_preferences(self, member_id: int, *, locale: str, theme: str) -> None:
        """The language ("fr", "en") and theme ("auto", "light", "dark") of a member's pages."""
        async with self._db.transaction() as conn:
            await store.set_preferences(
                conn, member_id, _known(locale, LOCALES, "locale"), _known(theme, THEMES, "theme")
            )
            await _noted(conn, Actor.member(member_id), "member.preferences", member_id, locale=locale, theme=theme)

    async def set_availability(self, member_id: int, available: bool, until: datetime | None = None) -> None:
        """Available (or not) now; after ``until`` (aware, within a year) the contrary."""
        now = datetime.now(UTC)
        if until is not None and not now < until <= now + UNTIL_LIMIT:
            raise Invalid(N_("Please give a time in the future, within a year."), field="until")
        async with self._db.transaction() as conn:
            await self._get(conn, member_id)
            await store.set_available(conn, member_id, available, until)
            await _told(conn, member_id, "availability")
            details = {"available": available, "until": until.isoformat() if until else None}
            await _noted(conn, Actor.member(member_id), "member.availability", member_id, **details)

    # passwords

    async def confirm_password(self, member: Member, password: str, *, address: str = "") -> None:
        """Ask again who is there, before an approval or another grave act.

        Raises Invalid(field="password") when the password does not fit, TooMany after five wrong ones in 15 minutes.
        """
        attempt = await self.attempts.begin(member.email, address)
        async with self._db.connection() as conn:
            known = await store.password_hash(conn, member.id)
        if not await self.passwords.verify(known, password):
            raise Invalid(N_("The password is wrong."), field="password")
        await self.attempts.succeeded(attempt)

    async def change_password(self, member: Member, old: str, new: str, *, address: str = "") -> None:
        """Replace the password and sign out everywhere. Raises Invalid, TooMany, Conflict."""
        await self.confirm_password(member, old, address=address)
        self._check_password(new, member.email, member.name)
        if old == new:
            raise Invalid(N_("This is the password you have already."), field="password")
        await self._replace_password(member.id, new, Actor.member(member.id))

    async def reset_password(self, member_id: int, new: str, *, actor: Actor) -> None:
        """Set a password for someone who lost theirs, forget the wrong tries, and sign them out everywhere."""
        member = await self.get(member_id)
        self._check_password(new, member.email, member.name)
        await self._replace_password(member_id, new, actor)
        async with self._db.transaction() as conn:
            await self.attempts.forget(conn, member.email)

    async def _replace_password(self, member_id: int, new: str, actor: Actor) -> None:
        digest = await self.passwords.hash(new)
        async with self._db.transaction() as conn:
            known = await store.password_hash(conn, member_id)
            if known is None or not await store.change_password(conn, member_id, known, digest):
                raise Conflict(N_("The password was changed by someone else just now."))
            await sign_in_store.close_all(conn, member_id)
            await _told(conn, member_id, "signed_out")
            await _noted(conn, actor, "member.password_changed", member_id)

    def _check_password(self, password: str, email: str, name: str) -> None:
        check_password(password, about=(email, email.partition("@")[0], *name.split(), self._cooperative))

    async def _get(self, conn: Connection, member_id: int) -> Member:
        member = await store.get(conn, member_id)
        if member is None:
            raise NotFound(N_("There is no such member."))
        return member


def _fragment(raw: str) -> str:
    return " ".join(raw.replace("\x00", "").split())[:100]


def _known(value: str, known: Collection[str], field: str) -> str:
    if value not in known:
        raise Invalid(N_("Please choose one of the list."), field=field)
    return value


async def _keep_one_administrator(conn: Connection, member_id: int) -> None:
    if not await store.other_administrators(conn, member_id):
        raise Conflict(N_("This is the last administrator: name another first."))


async def _told(conn: Connection, member_id: int, kind: str) -> None:
    await events.publish(conn, f"member:{member_id}", kind, {"member": member_id})
    await events.publish(conn, "members:all", kind, {"member": member_id})


async def _noted(conn: Connection, actor: Actor | None, action: str, member_id: int, **details: object) -> None:
    await audit.record(
        conn, actor=actor or Actor.system(), action=action, subject=f"member:{member_id}", details=details
    )


def _translated(error: errors.UniqueViolation) -> Exception:
    if error.diag.constraint_name == "members_email_unique":
        return Conflict(N_("A member with this e-mail address exists already."))
    return error
