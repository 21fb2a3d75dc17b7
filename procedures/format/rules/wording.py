"""How a step is written: imperative first, one action, short sentences (DITA's ``cmd``; technical English)."""

from __future__ import annotations

import re
from collections.abc import Iterator

from compagnon.i18n import N_
from procedures.format.model import Note, Position, Procedure, Step, Text
from procedures.format.rules import lexicon
from procedures.format.rules.case import Case, Findings, prose, warn

MAX_WORDS = 20

_TICKS = re.compile(r"`+")
_PICTURE = re.compile(r"!\[[^\]\n]{0,500}\]\([^()\n]{0,500}\)")
_LINK = re.compile(r"\[([^\]\n]{0,500})\]\([^()\n]{0,500}\)")
_SENTENCE = re.compile(r"(?<=[.!?…])(?:[\s\u00a0\u202f]*[»”\")\]])*[ \n]+(?=[^\sa-zà-öø-ÿ])")
_MARKER = re.compile(r"[ \t]*(?:>[ \t]?)*[ \t]*(?:[*+-]|\d{1,9}[.)])[ \t]+")
_QUOTE = re.compile(r"[ \t]*(?:>[ \t]?)+")
_FENCE = re.compile(r"[ \t>]*(`{3,}|~{3,})")
_WORD = re.compile(r"[^\W_]")
_COLON = re.compile(r"[,:]\s+")


def imperatives(case: Case) -> Findings:
    procedure = case.procedure
    for step in procedure.steps:
        if not is_imperative(step.title, procedure.locale):
            yield warn(
                "imperative",
                step.at,
                N_("The step does not begin with what to do."),
                N_(
                    "Begin with an imperative, after an optional place or condition: “Open …”, “On the server, open …”."
                ),
                step=step.id,
            )


def is_imperative(title: str, locale: str) -> bool:
    """Does ``title`` begin with an imperative, after at most one place or condition ended by a comma or a colon?"""
    lead = lexicon.EN_LEAD if locale == "en" else lexicon.FR_LEAD
    if _begins(title, locale):
        return True
    if not lead.match(title):
        return False
    return any(_begins(title[match.end() :], locale) for match in _COLON.finditer(title))


def _begins(text: str, locale: str) -> bool:
    text = text.strip().lstrip('«“"* ')
    if locale != "en":
        return bool(lexicon.FR_IMPERATIVE.match(text))
    text = lexicon.EN_NOT.sub("", text, count=1)
    word = lexicon.EN_WORD.match(text)
    return word is not None and word[0].lower() in lexicon.EN_VERBS


def single_actions(case: Case) -> Findings:
    procedure = case.procedure
    for step in procedure.steps:
        second = second_action(step.title, procedure.locale)
        if second:
            yield warn(
                "one-action",
                step.at,
                N_("This step asks for a second action: “{verb}”."),
                N_("Make a step of it."),
                step=step.id,
                verb=second,
            )


def second_action(title: str, locale: str) -> str | None:
    """The verb of a second action in a step's title; None when there is one action."""
    action = _after_lead(without_code(title), locale)
    if locale != "en":
        match = lexicon.FR_SECOND.search(action)
        return (match["verb"] or match["verb2"]) if match else None
    verbs = (match["verb"] for match in lexicon.EN_SECOND.finditer(action))
    return next((verb for verb in verbs if verb.lower() in lexicon.EN_VERBS), None)


def _after_lead(title: str, locale: str) -> str:
    if _begins(title, locale):
        return title
    starts = (match.end() for match in _COLON.finditer(title))
    return next((title[start:] for start in starts if _begins(title[start:], locale)), title)


def sentences(case: Case) -> Findings:
    for step, at, text in _prose(case.procedure):
        for offset, sentence in _sentences(text):
            count = words(sentence)
            if count > MAX_WORDS:
                yield warn(
                    "sentence-length",
                    Position(at.line + offset, at.column if not offset else 1),
                    N_("This sentence has {count} words: “{start}…”."),
                    N_("Cut it into sentences of at most 20 words."),
                    step=step,
                    count=str(count),
                    start=sentence.strip()[:40],
                )


def _prose(procedure: Procedure) -> Iterator[tuple[str | None, Position, str]]:
    for sentence in procedure.reqconds:
        yield None, procedure.position("reqconds"), sentence
    for step, block in prose(procedure):
        for offset, unit in units(block):
            yield step, Position(block.at.line + offset), unit
    for item in procedure.owners:
        yield item.id, item.at, item.title if isinstance(item, Step) else item.label
        for name in ("info", "phone", "stepresult"):
            yield item.id, item.fields.get(name, item.at), getattr(item, name, None) or ""
        if isinstance(item, Step) and item.rollback:
            yield item.id, item.rollback.at, item.rollback.text


def units(block: Text | Note) -> Iterator[tuple[int, str]]:
    """Paragraphs and list items of a block's Markdown, with the line each starts on (from 0); no code, no tables."""
    start, kept, fence = 0, list[str](), ""
    for number, line in enumerate(block.markdown.split("\n")):
        opening = _FENCE.match(line)
        if opening and (not fence or line.strip(" \t>").startswith(fence)):
            fence = "" if fence else opening[1]
        elif not fence and not _ends_unit(line) and not _MARKER.match(line):
            start = start if kept else number
            kept.append(_QUOTE.sub("", line))
            continue
        if kept:
            yield start, "\n".join(kept)
        starts = not fence and not opening and not _ends_unit(line)
        start, kept = number, [_MARKER.sub("", line, count=1)] if starts else []
    if kept:
        yield start, "\n".join(kept)


def _ends_unit(line: str) -> bool:
    bare = line.strip(" \t>")
    return not bare or bare.startswith("|")


def _sentences(text: str) -> Iterator[tuple[int, str]]:
    plain = _LINK.sub(r"\1", _PICTURE.sub("", without_code(text)))
    start = 0
    for match in _SENTENCE.finditer(plain):
        yield plain.count("\n", 0, start), plain[start : match.start()]
        start = match.end()
    yield plain.count("\n", 0, start), plain[start:]


def without_code(text: str) -> str:
    """Each code span as one word: what is inside counts for nothing (CommonMark §6.1: ended by as many backticks)."""
    runs = [(match.start(), match.end()) for match in _TICKS.finditer(text)]
    closing: dict[int, list[int]] = {}
    for number in reversed(range(len(runs))):
        closing.setdefault(runs[number][1] - runs[number][0], []).append(number)
    kept, at, number = list[str](), 0, 0
    while number < len(runs):
        later = closing[runs[number][1] - runs[number][0]]
        while later[-1] <= number and len(later) > 1:
            later.pop()
        end = later[-1]
        if end > number:
            kept += [text[at : runs[number][0]], "x"]
            at = runs[end][1]
        number = max(end, number) + 1
    return "".join(kept) + text[at:]


def words(sentence: str) -> int:
    """Words between spaces that hold a letter or a digit: “l'imprimante” is one, “:” is none."""
    return sum(1 for word in sentence.split() if _WORD.search(word))
