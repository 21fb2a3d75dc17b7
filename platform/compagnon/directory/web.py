"""Pages of the clients."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Annotated, Any

from litestar import Controller, Request, get, post
from litestar.params import FromPath, QueryParameter
from litestar.response import Redirect, Template

from compagnon.audit import Actor
from compagnon.auth.model import Member
from compagnon.directory.model import ClientKind, NewContact, NewSite
from compagnon.directory.panels import ClientPanels
from compagnon.directory.service import Directory
from compagnon.errors import Conflict, Invalid
from compagnon.i18n import N_
from compagnon.web.forms import Form
from compagnon.web.render import fragment, is_htmx, page, redirect, rendered_panels, toast

AnyRequest = Request[Any, Any, Any]
Short = Annotated[str, QueryParameter(max_length=100)]
PAGE = 50
KINDS = {ClientKind.COMPANY: N_("Company"), ClientKind.PERSON: N_("Person")}


class ClientPages(Controller):
    path = "/clients"

    @get("/")
    async def list_clients(
        self,
        request: AnyRequest,
        directory: Directory,
        q: Short = "",
        departement: Short = "",
        at: Annotated[int, QueryParameter(name="page", ge=1, le=4000)] = 1,
    ) -> Template:
        """The clients, found by any part of a name, phone number or town (``q``)."""
        found = await directory.search(q, PAGE + 1, departement=departement, offset=(at - 1) * PAGE)
        shown: dict[str, Any] = {"found": found[:PAGE], "more": len(found) > PAGE, "at": at, "kinds": KINDS}
        shown["form"] = Form({"q": q, "departement": departement})
        if is_htmx(request):
            return fragment(request, "directory/list_rows.html", **shown)
        return page(request, "directory/list.html", departements=await directory.departements(), **shown)

    @get("/new")
    async def new_client(self, request: AnyRequest, q: Short = "") -> Template:
        """The form for a new client; ``q``, searched without success, fills in the phone or the name."""
        number = q if q.strip("+0123456789 .-/()") == "" else ""
        initial = {"kind": ClientKind.COMPANY, "phone": number, "name": "" if number else q}
        return page(request, "directory/new.html", form=Form(initial=initial), kinds=KINDS)

    @post("/new", status_code=200)
    async def create_client(
        self, request: AnyRequest, member: Member, directory: Directory, form: Form
    ) -> Template | Redirect:
        """Add a client with a first phone, mail, site and contact."""
        values = _typed(form)
        if form.ok:
            try:
                made = await directory.add_client(**values, actor=Actor.member(member.id))
            except (Invalid, Conflict) as error:
                form.refuse(FIELDS.get(getattr(error, "field", None) or "", ""), error.message, **error.params)
            else:
                toast(request, N_("{name} is added."), name=made.name)
                return redirect(f"/clients/{made.id}")
        return page(request, "directory/new.html", form=form, kinds=KINDS, status_code=422)

    @get("/{client_id:int}")
    async def show_client(
        self,
        request: AnyRequest,
        client_id: FromPath[int],
        member: Member,
        directory: Directory,
        client_panels: ClientPanels,
    ) -> Template:
        """One client: phones, contacts, sites, machines, tickets."""
        sheet = await directory.sheet(client_id)
        panels = rendered_panels(request, await client_panels.of(member, client_id))
        return page(request, "directory/show.html", sheet=sheet, panels=panels, kinds=KINDS)

    @get("/{client_id:int}/sheet")
    async def show_sheet(self, request: AnyRequest, client_id: FromPath[int], directory: Directory) -> Template:
        """The part of the page that changes; refetched when someone else changes it."""
        return fragment(request, "directory/sheet.html", sheet=await directory.sheet(client_id), kinds=KINDS)

    @get("/{client_id:int}/edit")
    async def edit_client(self, request: AnyRequest, client_id: FromPath[int], directory: Directory) -> Template:
        """The form to change a client's name, kind and notes."""
        client = await directory.get(client_id)
        form = Form(initial={"kind": client.kind, "name": client.name, "notes": client.notes})
        return page(request, "directory/edit.html", form=form, client=client, kinds=KINDS)

    @post("/{client_id:int}/edit", status_code=200)
    async def update_client(
        self, request: AnyRequest, client_id: FromPath[int], member: Member, directory: Directory, form: Form
    ) -> Template | Redirect:
        """Keep a client's name, kind and notes."""
        kind, name = form.choice("kind", ClientKind), form.text("name", limit=200)
        notes = form.lines("notes", limit=10_000, required=False)
        if not form.ok:
            client = await directory.get(client_id)
            return page(request, "directory/edit.html", form=form, client=client, kinds=KINDS, status_code=422)
        await directory.update_client(client_id, kind=kind, name=name, notes=notes, actor=Actor.member(member.id))
        toast(request, N_("Saved."))
        return redirect(f"/clients/{client_id}")

    @post("/{client_id:int}/active", status_code=303)
    async def set_active(
        self, request: AnyRequest, client_id: FromPath[int], member: Member, directory: Directory, form: Form
    ) -> Redirect:
        """Archive a client, or bring it back into the searches."""
        active = form.flag("active")
        await directory.set_active(client_id, active, actor=Actor.member(member.id))
        toast(request, N_("The client is back in the searches.") if active else N_("The client is archived."))
        return redirect(f"/clients/{client_id}")

    @post("/{client_id:int}/phones")
    async def add_phone(
        self, request: AnyRequest, client_id: FromPath[int], member: Member, directory: Directory, form: Form
    ) -> Template | Redirect:
        """Add a phone number to a client or to one of its contacts."""
        number, label = form.text("number", limit=40), form.text("label", limit=60, required=False)
        contact = form.optional_identity("contact")
        form.check()
        actor = Actor.member(member.id)
        adding = directory.add_phone(client_id, number, label=label, contact_id=contact, actor=actor)
        return await _done(request, client_id, directory, adding)

    @post("/{client_id:int}/mails")
    async def add_mail(
        self, request: AnyRequest, client_id: FromPath[int], member: Member, directory: Directory, form: Form
    ) -> Template | Redirect:
        """Add a mail address to a client or to one of its contacts."""
        address, label = form.text("address", limit=254), form.text("label", limit=60, required=False)
        contact = form.optional_identity("contact")
        form.check()
        actor = Actor.member(member.id)
        adding = directory.add_mail(client_id, address, label=label, contact_id=contact, actor=actor)
        return await _done(request, client_id, directory, adding)

    @post("/{client_id:int}/sites")
    async def add_site(
        self, request: AnyRequest, client_id: FromPath[int], member: Member, directory: Directory, form: Form
    ) -> Template | Redirect:
        """Add a place of a client; its département decides who is near."""
        site = _site(form)
        form.check()
        return await _done(
            request, client_id, directory, directory.add_site(client_id, site, actor=Actor.member(member.id))
        )

    @post("/{client_id:int}/contacts")
    async def add_contact(
        self, request: AnyRequest, client_id: FromPath[int], member: Member, directory: Directory, form: Form
    ) -> Template | Redirect:
        """Add a person of a client."""
        name, job = form.text("contact", limit=120), form.text("job", limit=120, required=False)
        phone = form.text("number", limit=40, required=False)
        form.check()
        contact = NewContact(name=name, job=job, phones=(phone,) if phone else ())
        return await _done(
            request, client_id, directory, directory.add_contact(client_id, contact, actor=Actor.member(member.id))
        )

    @post("/{client_id:int}/remove/{what:str}/{item_id:int}")
    async def remove_part(
        self,
        request: AnyRequest,
        client_id: FromPath[int],
        what: FromPath[str],
        item_id: FromPath[int],
        member: Member,
        directory: Directory,
    ) -> Template | Redirect:
        """Take a phone, mail, site or contact off a client."""
        return await _done(
            request, client_id, directory, directory.remove(what, client_id, item_id, actor=Actor.member(member.id))
        )


# Where the new-client form shows a refusal of the service.
FIELDS = {
    "number": "phone",
    "address": "mail",
    "name": "name",
    "town": "town",
    "postcode": "postcode",
    "departement": "departement",
    "contact": "contact",
    "notes": "notes",
}


def _typed(form: Form) -> dict[str, Any]:
    phone = form.text("phone", limit=40, required=False)
    mail = form.text("mail", limit=254, required=False)
    contact = form.text("contact", limit=120, required=False)
    site = _site(form, required=False)
    return {
        "kind": form.choice("kind", ClientKind),
        "name": form.text("name", limit=200),
        "notes": form.lines("notes", limit=10_000, required=False),
        "phones": (phone,) if phone else (),
        "mails": (mail,) if mail else (),
        "sites": (site,) if site.town or site.postcode or site.address else (),
        "contacts": (NewContact(name=contact),) if contact else (),
    }


def _site(form: Form, *, required: bool = True) -> NewSite:
    return NewSite(
        town=form.text("town", limit=120, required=required),
        departement=form.text("departement", limit=3, required=False),
        postcode=form.text("postcode", limit=12, required=False),
        address=form.text("site_address", limit=300, required=False),
        label=form.text("label", limit=120, required=False),
    )


async def _done(
    request: AnyRequest, client_id: int, directory: Directory, work: Awaitable[object]
) -> Template | Redirect:
    """Do it, then show the sheet again (htmx) or the whole page."""
    await work
    if is_htmx(request):
        sheet = await directory.sheet(client_id)
        return fragment(request, "directory/sheet.html", sheet=sheet, kinds=KINDS)
    return redirect(f"/clients/{client_id}")
