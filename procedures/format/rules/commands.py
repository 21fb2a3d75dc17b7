"""Commands that the agent can run as written, and that say so when they are dangerous."""

from __future__ import annotations

import re

from compagnon.i18n import N_
from procedures.format.model import Code, Risk, RunOn, Step
from procedures.format.rules.case import Case, Findings, advise, bodies, codes, warn

SHELLS = ("sh", "powershell", "cmd")
MAX_TIMEOUT = 3600
MAX_SCRIPT = 16 * 1024

_TREES = r"/(?:etc|usr|var|home|boot|root|srv|opt|lib|bin|sbin|mnt|media)/?\*?"
_ROOT = rf"(?:/(?:\*|\.)?|~/?\*?|\$HOME/?\*?|{_TREES}|\*|\.\.?/?\*?)"
_END = r"(?=[\s;&|)]|$)"
_DANGERS = tuple(
    re.compile(pattern, re.IGNORECASE | re.MULTILINE)
    for pattern in (
        rf"\brm\s+(?:-[\w-]+\s+)*-(?:\w*r\w*|-recursive)(?:\s+-[\w-]+)*(?:\s+--)?(?:\s+[^\s;&|]+)*?\s+[\"']?{_ROOT}[\"']?{_END}",
        r"\bmkfs(?:\.\w+)?\b|\bwipefs\b|\bblkdiscard\b|\bsgdisk\s.*(?:-Z|--zap)|\bmkswap\b",
        r"\bdd\b[^\n;|]*\bof=/dev/(?!null\b)",
        r">\s*/dev/(?:sd|hd|vd|nvme|mmcblk|mapper)",
        r"\bshred\b[^\n;|]*/dev/",
        r"\b(?:curl|wget|fetch)\b[^\n;]*\|\s*(?:sudo\s+(?:-\S+\s+)*)?(?:env\s+)?(?:/\S*/)?(?:ba|z|da|k|c)?sh\b",
        r"\b(?:curl|wget)\b[^\n;]*\|\s*(?:sudo\s+)?(?:python3?|perl|ruby|node|php)\b",
        r"\b(?:ba|z|da)?sh\s+(?:-c\s+)?[\"']?(?:<\(|\$\()\s*(?:curl|wget)\b",
        r"\beval\s+[\"']?\$\(\s*(?:curl|wget)\b",
        rf"\bch(?:mod|own|grp)\s+(?:-[\w-]+\s+)*-(?:\w*R\w*|-recursive)\s[^\n;|]*\s{_ROOT}{_END}",
        rf"\bfind\s+{_ROOT}\s[^\n;|]*(?:-delete\b|-exec\s+rm\b)",
        r":\(\)\s*\{\s*:\s*\|\s*:",
        r"\b(?:iptables|ip6tables|nft)\s+(?:-F|--flush|flush\s+ruleset)",
        r"\buserdel\b|\bpasswd\s+-d\b",
        r"\b(?:iwr|irm|invoke-webrequest|invoke-restmethod|downloadstring)\b[^\n]*\|\s*(?:iex|invoke-expression)\b",
        r"\b(?:iex|invoke-expression)\b[^\n]*\b(?:iwr|irm|invoke-webrequest|invoke-restmethod|downloadstring)\b",
        r"\b(?:format-volume|clear-disk|remove-partition|initialize-disk)\b|\bdiskpart\b|\bcipher\s+/w|\bformat\s+[a-z]:",
        r"\b(?:remove-item|ri|rm|del|erase|rmdir|rd)\b[^\n;|]*[\"'\s]"
        r"[a-z]:\\?(?:windows|users|program files)?\\?\*?[\"']?(?=\s|$|;)",
        r"\breg(?:\.exe)?\s+delete\s+\"?HK(?:LM|CU|CR|U|EY_\w+)\\?[\w ]*\"?\s",
        r"\bvssadmin\s+delete\b|\bbcdedit\b",
    )
)
_COMMENT = re.compile(r"^[ \t]*(?:#|REM\b|::).*$", re.MULTILINE | re.IGNORECASE)


def fences(case: Case) -> Findings:
    for owner, block in bodies(case.procedure):
        if isinstance(block, Code):
            yield from _fence(owner, block)
    for step in case.procedure.steps:
        for code in step.rollback.commands if step.rollback else ():
            yield from _fence(step.id, code)
        yield from _one_command(step)
    yield from _out_of_place(case)


def _fence(owner: str | None, code: Code) -> Findings:
    if code.timeout is not None and not 1 <= code.timeout <= MAX_TIMEOUT:
        yield warn(
            "timeout", code.at, N_("The timeout must be from 1 to 3600 seconds."), N_("Correct timeout=…."), step=owner
        )
    for name, _ in code.unknown:
        yield warn(
            "fence-attribute",
            code.at,
            N_("The attribute “{name}” is not known on a code block."),
            N_("Only run_on and timeout are."),
            step=owner,
            name=name,
        )
    if code.run_on is RunOn.AGENT and code.language not in SHELLS:
        yield warn(
            "fence-language",
            code.at,
            N_("The agent cannot run “{language}”."),
            N_("Use sh, powershell or cmd, or let the technician run it."),
            step=owner,
            language=code.language,
        )
    if code.language in SHELLS and (not code.script.strip() or len(code.script) > MAX_SCRIPT):
        yield warn(
            "fence-size",
            code.at,
            N_("This code block is empty or longer than 16,384 characters."),
            N_("Write the command, or split it."),
            step=owner,
        )


def _one_command(step: Step) -> Findings:
    seen: set[str] = set()
    for code in step.codes:
        if code.run_on is not RunOn.AGENT:
            continue
        if code.language in seen:
            yield warn(
                "one-action",
                code.at,
                N_("The agent would run two code blocks in one step."),
                N_("Make one step of each, or one block of both."),
                step=step.id,
            )
        seen.add(code.language)


def _out_of_place(case: Case) -> Findings:
    inside = {id(block) for step in case.procedure.steps for block in step.body}
    for owner, block in bodies(case.procedure):
        if isinstance(block, Code) and block.run_on is RunOn.AGENT and id(block) not in inside:
            yield warn(
                "fence-attribute",
                block.at,
                N_("Only a step can ask the agent to run something."),
                N_("Move this code block into a step."),
                step=owner,
            )


def dangers(case: Case) -> Findings:
    for step in case.procedure.steps:
        for code in codes(step):
            found = danger(code.script) if code.language in (*SHELLS, "") else None
            if found:
                yield from _danger(case, step, code, found)


def _danger(case: Case, step: Step, code: Code, found: str) -> Findings:
    if case.procedure.risk is Risk.HIGH:
        yield advise(
            "dangerous",
            code.at,
            N_("“{command}” can destroy data or hand the machine over."),
            N_("Make sure that a safer command does not do."),
            step=step.id,
            command=found,
        )
        return
    yield warn(
        "dangerous",
        code.at,
        N_("“{command}” can destroy data or hand the machine over, and the risk is not “high”."),
        N_("Use a safer command, or declare “risk: high”."),
        step=step.id,
        command=found,
    )


def danger(script: str) -> str | None:
    """The first dangerous command of a script, as written; None when none is recognised. A net, not a proof."""
    bare = _COMMENT.sub("", script).replace("\\\n", " ")
    for pattern in _DANGERS:
        match = pattern.search(bare)
        if match:
            return " ".join(match[0].split())
    return None
