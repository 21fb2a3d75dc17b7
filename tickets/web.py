"""What the pages of this package share: readings of queries, labels and colours."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from litestar import Request

from compagnon.i18n import N_
from compagnon.web.forms import Form
from tickets.desk.model import Impact, State, Urgency

AnyRequest = Request[Any, Any, Any]

STATE_LABELS: Mapping[State, str] = {
    State.NEW: N_("New"),
    State.ASSIGNED: N_("Assigned"),
    State.IN_PROGRESS: N_("In progress"),
    State.WAITING_CLIENT: N_("Waiting for the client"),
    State.WAITING_THIRD_PARTY: N_("Waiting for a third party"),
    State.RESOLVED: N_("Resolved"),
    State.CLOSED: N_("Closed"),
}
STATE_TONES: Mapping[State, str] = {
    State.NEW: "attention",
    State.ASSIGNED: "info",
    State.IN_PROGRESS: "info",
    State.WAITING_CLIENT: "warning",
    State.WAITING_THIRD_PARTY: "warning",
    State.RESOLVED: "success",
    State.CLOSED: "neutral",
}
STATE_ICONS: Mapping[State, str] = {
    State.NEW: "inbox",
    State.ASSIGNED: "user-check",
    State.IN_PROGRESS: "progress",
    State.WAITING_CLIENT: "hourglass",
    State.WAITING_THIRD_PARTY: "truck-delivery",
    State.RESOLVED: "check",
    State.CLOSED: "lock",
}
PRIORITY_LABELS: Mapping[int, str] = {
    1: N_("1 – Critical"),
    2: N_("2 – High"),
    3: N_("3 – Moderate"),
    4: N_("4 – Low"),
    5: N_("5 – Planning"),
}
PRIORITY_TONES: Mapping[int, str] = {1: "danger", 2: "attention", 3: "warning", 4: "info", 5: "neutral"}
IMPACT_LABELS: Mapping[Impact, str] = {
    Impact.HIGH: N_("High: nobody can work"),
    Impact.MEDIUM: N_("Medium: one service or several people"),
    Impact.LOW: N_("Low: one person, can work otherwise"),
}
URGENCY_LABELS: Mapping[Urgency, str] = {
    Urgency.HIGH: N_("High: now"),
    Urgency.MEDIUM: N_("Medium: today"),
    Urgency.LOW: N_("Low: when it suits"),
}


RUN_LABELS = {"active": N_("in progress"), "completed": N_("completed"), "abandoned": N_("given up")}
SESSION_LABELS = {
    "requested": N_("requested"),
    "consenting": N_("waiting for consent"),
    "open": N_("open"),
    "ended": N_("ended"),
}
RESULT_LABELS = {
    "passed": N_("The result holds"),
    "failed": N_("The result does not hold"),
    "unavailable": N_("The machine did not answer"),
    "nothing": N_("The procedure promises nothing that can be checked"),
}
CHECK_LABELS = {
    "pass": N_("holds"),
    "fail": N_("fails"),
    "error": N_("error"),
    "unsupported": N_("not supported"),
}
VERDICT_LABELS = {
    "correct": N_("Correct: it worked as written"),
    "wrong": N_("Wrong: a step must change"),
    "missing": N_("Missing: there is no procedure for this"),
    "none": N_("None needed"),
}
# What this ticket is to the other one, from either side (``tickets.links.model.Link.role``).
LINK_LABELS: Mapping[str, str] = {
    "related": N_("Related to"),
    "duplicate_of": N_("Duplicate of"),
    "caused_by": N_("Caused by"),
    "of_duplicate_of": N_("Has the duplicate"),
    "of_caused_by": N_("Causes"),
}
CALL_LABELS = {"open": N_("waiting for an answer"), "accepted": N_("accepted"), "cancelled": N_("taken back")}
OFFER_LABELS = {"asked": N_("asked"), "accepted": N_("accepted"), "declined": N_("declined"), "lapsed": N_("too late")}


def words() -> dict[str, Any]:
    """The labels for a template's context."""
    return {
        "state_labels": STATE_LABELS,
        "state_tones": STATE_TONES,
        "state_icons": STATE_ICONS,
        "priority_labels": PRIORITY_LABELS,
        "priority_tones": PRIORITY_TONES,
        "impact_labels": IMPACT_LABELS,
        "urgency_labels": URGENCY_LABELS,
        "run_labels": RUN_LABELS,
        "session_states": SESSION_LABELS,
        "result_labels": RESULT_LABELS,
        "check_labels": CHECK_LABELS,
        "verdict_labels": VERDICT_LABELS,
        "call_labels": CALL_LABELS,
        "offer_labels": OFFER_LABELS,
        "link_labels": LINK_LABELS,
    }


def query_form(request: AnyRequest, *, initial: Mapping[str, Any] | None = None) -> Form:
    """The address's query, read with the same bounds as a form."""
    asked = request.query_params
    return Form({name: asked.getall(name) for name in dict.fromkeys(asked.keys())}, initial=initial)
