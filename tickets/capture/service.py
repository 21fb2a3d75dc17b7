"""What a member on the phone needs to see: who calls, their machines and open tickets, what it may be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from compagnon.audit import Actor
from compagnon.auth.model import Member
from compagnon.directory.model import ClientHit, ClientKind, NewContact, NewSite, Sheet, digits_of
from compagnon.directory.service import Directory
from compagnon.errors import NotFound
from compagnon.i18n import N_
from compagnon.kernel import Kernel
from kb.search.model import Boost, Reason
from kb.search.records import quote_lexeme, record_query
from kb.suggestions.model import Suggestions
from kb.suggestions.service import Suggesting
from remote.machines.model import Machine
from remote.machines.service import Machines
from tickets.capture import store
from tickets.desk.model import Ticket
from tickets.desk.service import Desk
from tickets.listing.model import Row

CALLERS = 8
PROCEDURES, ARTICLES = 5, 3
SIMILAR = 5
SYMPTOM_LIMIT = 250  # characters of the symptom that are searched: the newest words of a long text say most
FAILING_WEIGHT = 0.6


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientCard:
    """All a ticket needs to know of a client, on one card."""

    sheet: Sheet
    tickets: Sequence[Ticket]
    machines: Sequence[Machine]

    def departement(self, site_id: int | None) -> str:
        """The site's, else that of the only site."""
        sites = [site for site in self.sheet.sites if site_id in (site.id, None)]
        return sites[0].departement if sites else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Likely:
    """What it may be: the library's suggestions, and open tickets of others that look the same."""

    library: Suggestions = field(default_factory=Suggestions)
    tickets: Sequence[Row] = field(default_factory=tuple)


@dataclass(frozen=True, slots=True, kw_only=True)
class NewCaller:
    """A client nobody knows yet, as said on the phone."""

    kind: ClientKind
    name: str
    contact: str = ""
    phone: str = ""
    town: str = ""
    postcode: str = ""


class Capture:
    def __init__(self, kernel: Kernel, desk: Desk, machines: Machines, suggesting: Suggesting) -> None:
        self._db = kernel.db
        self._directory: Directory = kernel.directory
        self._desk = desk
        self._machines = machines
        self._suggesting = suggesting

    async def callers(self, typed: str) -> Sequence[ClientHit]:
        """Clients whose name, contact, town or number holds what was typed (two signs or more)."""
        fragment = typed.strip()[:100]
        return await self._directory.search(fragment, CALLERS) if len(fragment) >= 2 else ()

    async def card(self, client_id: int) -> ClientCard:
        """Raises NotFound."""
        return ClientCard(
            sheet=await self._directory.sheet(client_id),
            tickets=await self._desk.of_client(client_id, only_open=True, limit=10),
            machines=await self._machines.for_client(client_id),
        )

    async def add_caller(self, new: NewCaller, member: Member) -> int:
        """Add the client who calls for the first time; the id. Raises Invalid, Conflict (see ``Directory``)."""
        contacts = (NewContact(name=new.contact, phones=(new.phone,) if new.phone else ()),) if new.contact else ()
        made = await self._directory.add_client(
            kind=new.kind,
            name=new.name,
            actor=Actor.member(member.id),
            phones=(new.phone,) if new.phone and not new.contact else (),
            contacts=contacts,
            sites=(NewSite(town=new.town, postcode=new.postcode),) if new.town else (),
        )
        return made.id

    async def suggest(
        self,
        symptom: str,
        *,
        machine_id: int | None,
        client_id: int | None,
        locale: str,
        procedures: int = PROCEDURES,
        articles: int = ARTICLES,
    ) -> Likely:
        """What it may be, by the words *and* by what fails on the machine; and open tickets that look the same."""
        library = await self.library(
            symptom, machine_id=machine_id, locale=locale, procedures=procedures, articles=articles
        )
        text = " ".join(symptom.replace("\x00", "").split())[-SYMPTOM_LIMIT:]
        return Likely(library=library, tickets=await self._similar(text, client_id) if len(text) >= 3 else ())

    async def library(
        self, symptom: str, *, machine_id: int | None, locale: str, procedures: int, articles: int
    ) -> Suggestions:
        """Procedures and articles for these words and this machine."""
        machine = await self._machine(machine_id)
        return await self._suggesting.for_text(
            symptom,
            environment=machine.environment if machine else None,
            locale=locale,
            boosts=await self._boosts(machine, locale),
            procedures=procedures,
            articles=articles,
        )

    async def _machine(self, machine_id: int | None) -> Machine | None:
        try:
            return await self._machines.get(machine_id) if machine_id else None
        except NotFound:
            return None

    async def _boosts(self, machine: Machine | None, locale: str) -> dict[str, Boost]:
        """The procedures that repair what the agent says is wrong, each with the check it would repair."""
        boosts: dict[str, Boost] = {}
        for label, code in await self._machines.failing_checks(machine.id) if machine else ():
            if code is not None:
                reason = Reason(message=N_("The machine says: {check} fails"), params={"check": label})
                for language in dict.fromkeys((locale, "fr", "en")):
                    boosts.setdefault(f"procedure:{code}.{language}", Boost(reason=reason, weight=FAILING_WEIGHT))
        return boosts

    async def _similar(self, text: str, client_id: int | None) -> list[Row]:
        readings = [lexeme for word in record_query(text).lexemes for lexeme in word]
        if not readings:
            return []
        any_of = " | ".join(quote_lexeme(lexeme) for lexeme in dict.fromkeys(readings))
        async with self._db.connection() as conn:
            return await store.similar(conn, any_of, client_id, SIMILAR)


def looks_like_number(typed: str) -> bool:
    """Whether what was typed for the caller is a phone number rather than a name."""
    return len(digits_of(typed)) >= 3 and typed.strip("+0123456789 .-/()") == ""
