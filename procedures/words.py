"""The words that pages show for the values of procedures and runs."""

from __future__ import annotations

from collections.abc import Mapping

from compagnon.i18n import N_

KINDS: Mapping[str, str] = {
    "install": N_("Installation"),
    "repair": N_("Repair"),
    "check": N_("Check-up"),
    "environment": N_("Environment"),
}
KIND_ICONS: Mapping[str, str] = {
    "install": "package",
    "repair": "tool",
    "check": "stethoscope",
    "environment": "device-desktop-cog",
}
RISKS: Mapping[str, str] = {"low": N_("Low risk"), "medium": N_("Medium risk"), "high": N_("High risk")}
RISK_TONES: Mapping[str, str] = {"low": "neutral", "medium": "warning", "high": "danger"}
STATES: Mapping[str, str] = {
    "draft": N_("Draft"),
    "in_review": N_("In review"),
    "published": N_("Published"),
    "superseded": N_("Superseded"),
    "withdrawn": N_("Withdrawn"),
    "discarded": N_("Discarded"),
    "open": N_("Drafts and reviews"),
}
LANGUAGES: Mapping[str, str] = {"fr": "Français", "en": "English"}
OUTCOMES: Mapping[str, str] = {
    "done": N_("Done"),
    "already_true": N_("Already true"),
    "failed": N_("Failed"),
    "skipped": N_("Skipped"),
}
OUTCOME_ICONS: Mapping[str, str] = {
    "done": "circle-check",
    "already_true": "circle-check",
    "failed": "circle-x",
    "skipped": "player-skip-forward",
}
RUN_STATES: Mapping[str, str] = {
    "active": N_("In progress"),
    "completed": N_("Finished"),
    "abandoned": N_("Given up"),
}
PHASES: Mapping[str, str] = {
    "check": N_("Looking whether it is already true"),
    "execute": N_("Executing the step"),
    "verify": N_("Verifying the result"),
}
ATTEMPT_STATES: Mapping[str, str] = {
    "open": N_("Waiting for the agent"),
    "queued": N_("Waiting for the machine to come back"),
    "done": N_("The agent has answered"),
    "failed": N_("The command failed"),
    "refused": N_("Refused at the machine"),
    "unreachable": N_("No answer from the machine"),
    "abandoned": N_("No longer waited for"),
}
GIVEN_UP: Mapping[str, str] = {
    "expired": N_("The machine did not come back in time."),
    "already_true": N_("When the machine came back it was true already: nothing was executed."),
    "unclear": N_("When the machine came back, its check could not be evaluated: nothing was executed."),
    "refused": N_("When the machine came back, the check before it was refused there: nothing was executed."),
    "step_over": N_("The step was over before the machine came back."),
    "ticket_closed": N_("The ticket was closed before the machine came back."),
    "handed_over": N_("The run was handed over before the machine came back."),
    "not_allowed": N_("Whoever asked may no longer act on this run."),
}
CHECK_OUTCOMES: Mapping[str, str] = {
    "pass": N_("true"),
    "fail": N_("not true"),
    "error": N_("could not be found out"),
    "unsupported": N_("cannot be checked on this machine"),
}
RESULT_STATES: Mapping[str, str] = {
    "passed": N_("The result holds"),
    "failed": N_("The result does not hold"),
    "unavailable": N_("The machine could not be asked"),
    "nothing": N_("This procedure has no result that an agent can check"),
}
RESULT_TONES: Mapping[str, str] = {
    "passed": "success",
    "failed": "danger",
    "unavailable": "warning",
    "nothing": "neutral",
}
DIFF_FIELDS: Mapping[str, str] = {
    "title": N_("title"),
    "importance": N_("importance"),
    "body": N_("text"),
    "info": N_("why"),
    "phone": N_("what to say"),
    "show": N_("what to point at"),
    "stepresult": N_("expected result"),
    "check": N_("checks"),
    "on_fail": N_("on failure"),
    "evidence": N_("evidence"),
    "rollback": N_("undo"),
    "context": N_("context"),
    "desktop": N_("desktop"),
    "result": N_("result"),
    "result.check": N_("result checks"),
    "after": N_("after the work"),
    "repair": N_("repairing procedure"),
    "label": N_("label"),
}
EVIDENCE_WANTED: Mapping[str, str] = {
    "note": N_("This step asks for a note."),
    "output": N_("This step asks for its output."),
    "picture": N_("This step asks for a picture."),
}
PARAMETER_HINTS: Mapping[str, str] = {
    "ipv4": N_("An IPv4 address, such as 192.168.1.20"),
    "ipv6": N_("An IPv6 address, such as 2001:db8::1"),
    "hostname": N_("A host name, such as imprimante.local"),
    "port": N_("A port number, 1 to 65535"),
    "path": N_("An absolute path, such as /home/marie"),
    "package": N_("A package name, such as cups"),
    "service": N_("A service name, such as cups.service"),
    "username": N_("A user name, such as marie"),
    "integer": N_("A whole number"),
}
WORDS = {
    "kinds": KINDS,
    "kind_icons": KIND_ICONS,
    "risks": RISKS,
    "risk_tones": RISK_TONES,
    "states": STATES,
    "languages": LANGUAGES,
    "outcomes": OUTCOMES,
    "outcome_icons": OUTCOME_ICONS,
    "run_states": RUN_STATES,
    "phases": PHASES,
    "attempt_states": ATTEMPT_STATES,
    "given_up": GIVEN_UP,
    "check_outcomes": CHECK_OUTCOMES,
    "result_states": RESULT_STATES,
    "result_tones": RESULT_TONES,
    "diff_fields": DIFF_FIELDS,
    "evidence_wanted": EVIDENCE_WANTED,
    "parameter_hints": PARAMETER_HINTS,
}
