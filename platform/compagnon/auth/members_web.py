"""The members of the co-operative: who can do what, where, and who is free now."""

from __future__ import annotations

from typing import Annotated, Any

from litestar import Controller, Request, get, post
from litestar.params import FromPath, QueryParameter
from litestar.response import Redirect, Template

from compagnon.audit import Actor
from compagnon.auth.model import LEVELS, LOCALES, Member, Role
from compagnon.auth.service import Members
from compagnon.auth.sign_ins import SignIns
from compagnon.errors import Conflict, Invalid
from compagnon.i18n import N_
from compagnon.web.forms import Form
from compagnon.web.guards import requires
from compagnon.web.render import page, redirect, toast

AnyRequest = Request[Any, Any, Any]
ADMINISTRATOR = [requires(Role.ADMINISTRATOR)]
Short = Annotated[str, QueryParameter(max_length=100)]
ROLES = {
    Role.MEMBER: N_("Member"),
    Role.REVIEWER: N_("Reviewer"),
    Role.ADMINISTRATOR: N_("Administrator"),
}


class MemberPages(Controller):
    path = "/members"

    @get("/")
    async def list_members(
        self,
        request: AnyRequest,
        member: Member,
        members: Members,
        q: Short = "",
        skill: Short = "",
        departement: Short = "",
    ) -> Template:
        """The members: found by name, skill or département, with who is available."""
        everyone = member.role.covers(Role.ADMINISTRATOR)
        found = await members.listed(fragment=q, skill=skill, departement=departement, inactive=everyone)
        return page(
            request,
            "auth/members.html",
            found=found,
            skills_of=await members.skills_of([one.id for one in found], locale=member.locale),
            all_skills=await members.all_skills(locale=member.locale),
            departements=await members.departements(),
            form=Form({"q": q, "skill": skill, "departement": departement}),
            roles=ROLES,
        )

    @get("/new", guards=ADMINISTRATOR)
    async def new_member(self, request: AnyRequest, member: Member, members: Members) -> Template:
        """The form for a new member."""
        return await _edit(request, member, members, Form(initial={"role": Role.MEMBER, "locale": "fr"}), None)

    @post("/new", guards=ADMINISTRATOR, status_code=200)
    async def create_member(
        self, request: AnyRequest, member: Member, members: Members, form: Form
    ) -> Template | Redirect:
        """Add a member with a first password."""
        typed = await _typed(form, members)
        password, locale = form.secret("password"), form.one_of("locale", LOCALES, default="fr")
        if form.ok:
            try:
                made = await members.create(**typed, password=password, locale=locale, actor=Actor.member(member.id))
            except (Invalid, Conflict) as error:
                _refuse(form, error)
            else:
                toast(request, N_("{name} can sign in now."), name=made.name)
                return redirect(f"/members/{made.id}")
        return await _edit(request, member, members, form, None, status_code=422)

    @get("/{member_id:int}")
    async def show_member(
        self, request: AnyRequest, member_id: FromPath[int], member: Member, members: Members
    ) -> Template:
        """One member: phone, départements, skills, availability."""
        return page(
            request,
            "auth/member.html",
            shown=await members.get(member_id),
            skills=await members.skills(member_id, locale=member.locale),
            roles=ROLES,
        )

    @get("/{member_id:int}/edit", guards=ADMINISTRATOR)
    async def edit_member(
        self, request: AnyRequest, member_id: FromPath[int], member: Member, members: Members
    ) -> Template:
        """The form to change a member's data, role and skills."""
        shown = await members.get(member_id)
        skills = await members.skills(member_id)
        initial = {
            "email": shown.email,
            "name": shown.name,
            "phone": shown.phone,
            "role": shown.role,
            "departements": " ".join(shown.departements),
            **{f"skill-{skill.name}": skill.level for skill in skills},
        }
        return await _edit(request, member, members, Form(initial=initial), shown)

    @post("/{member_id:int}/edit", guards=ADMINISTRATOR, status_code=200)
    async def update_member(
        self, request: AnyRequest, member_id: FromPath[int], member: Member, members: Members, form: Form
    ) -> Template | Redirect:
        """Keep what was changed of a member."""
        shown = await members.get(member_id)
        typed = await _typed(form, members)
        if form.ok:
            try:
                await members.update(member_id, **typed, actor=Actor.member(member.id))
            except (Invalid, Conflict) as error:
                _refuse(form, error)
            else:
                toast(request, N_("Saved."))
                return redirect(f"/members/{member_id}")
        return await _edit(request, member, members, form, shown, status_code=422)

    @post("/{member_id:int}/active", guards=ADMINISTRATOR, status_code=303)
    async def set_active(
        self, request: AnyRequest, member_id: FromPath[int], member: Member, members: Members, form: Form
    ) -> Redirect:
        """Let a member sign in again, or no longer; nothing of theirs is deleted."""
        active = form.flag("active")
        await members.set_active(member_id, active, actor=Actor.member(member.id))
        toast(request, N_("The member can sign in again.") if active else N_("The member can no longer sign in."))
        return redirect(f"/members/{member_id}")

    @post("/{member_id:int}/password", guards=ADMINISTRATOR, status_code=303)
    async def reset_password(
        self, request: AnyRequest, member_id: FromPath[int], member: Member, members: Members, form: Form
    ) -> Redirect:
        """Set a new password for a member and sign them out everywhere."""
        password = form.secret("password")
        form.check()
        await members.reset_password(member_id, password, actor=Actor.member(member.id))
        toast(request, N_("The new password is set. The member is signed out everywhere."))
        return redirect(f"/members/{member_id}")

    @post("/{member_id:int}/sign-out", guards=ADMINISTRATOR, status_code=303)
    async def sign_out_member(self, request: AnyRequest, member_id: FromPath[int], sign_ins: SignIns) -> Redirect:
        """Sign a member out on all devices."""
        await sign_ins.sign_out_everywhere(member_id)
        toast(request, N_("The member is signed out everywhere."))
        return redirect(f"/members/{member_id}")


async def _typed(form: Form, members: Members) -> dict[str, Any]:
    levels = {
        skill.name: form.optional_integer(f"skill-{skill.name}", minimum=0, maximum=LEVELS[-1])
        for skill in await members.all_skills()
    }
    return {
        "email": form.text("email", limit=254),
        "name": form.text("name", limit=120),
        "phone": form.text("phone", limit=40, required=False),
        "role": form.choice("role", Role),
        "departements": form.text("departements", limit=200, required=False).replace(",", " ").split(),
        "skills": {name: level for name, level in levels.items() if level},
    }


def _refuse(form: Form, error: Invalid | Conflict) -> None:
    if isinstance(error, Invalid):
        form.refuse_with(error)
    else:
        form.refuse("email" if "address" in error.message else "", error.message, **error.params)


async def _edit(
    request: AnyRequest, member: Member, members: Members, form: Form, shown: Member | None, *, status_code: int = 200
) -> Template:
    return page(
        request,
        "auth/member_edit.html",
        status_code=status_code,
        form=form,
        shown=shown,
        roles=ROLES,
        all_skills=await members.all_skills(locale=member.locale),
    )
