"""From what a machine printed to a question for the library.

What tells one error from all others is picked, the strongest first: codes (0x80070005, 203/EXEC, an event's number),
names (units, files, programs, packages), what stands between quotes, then the words of the lines that complain. What
belongs to one machine or one moment is left out: times, addresses, process numbers, people's folders.
"""

from __future__ import annotations

import errno
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from kb.search.analysis import fold, tokens
from kb.search.model import MAX_QUERY_CHARACTERS, MAX_QUERY_TERMS
from kb.search.stopwords import STOP_WORDS
from kb.search.terminal_text import shown

MAX_TEXT = 20_000  # characters read, the last ones: errors come last
LINE = 400  # characters of a line
TELLING = 12  # lines
CODES, NAMES, QUOTES = 6, 6, 4  # of each kind; the rest of the question is words

_HOUR = r"\d{1,2}:\d\d(?::\d\d(?:[.,]\d+)?)?"
_NOISE = re.compile(
    rf"""
      https?://\S+ | \S+@\S+\.\w+
    | \bsince\ [^;\n]{{0,60}};[^;\n]{{0,40}}\bago\b
    | ^\w{{3,5}}\.?\ +\d{{1,2}}\ {_HOUR}\ \S+                                  # syslog: day, time, host
    | \b\d{{4}}[-/]\d\d[-/]\d\d(?:[T ]{_HOUR})?(?:Z|[+-]\d\d:?\d\d)?\b
    | \b\d{{1,2}}/\d{{1,2}}/\d{{2,4}}\b | \b{_HOUR}\b | \[\ *\d+\.\d+\]
    | \b\d{{1,3}}(?:\.\d{{1,3}}){{3}}(?:[:/]\d+)?\b                            # addresses: IPv4, MAC, IPv6
    | \b(?:[0-9a-fA-F]{{2}}[:-]){{5}}[0-9a-fA-F]{{2}}\b | \b(?:[0-9a-fA-F]{{0,4}}:){{3,7}}[0-9a-fA-F]{{1,4}}\b
    | \{{?\b[0-9a-fA-F]{{8}}(?:-[0-9a-fA-F]{{4}}){{3}}-[0-9a-fA-F]{{12}}\b\}}? | \bS-1-\d+(?:-\d+)+\b
    | \b0[xX][0-9a-fA-F]{{9,16}}\b | \b(?=[0-9a-fA-F]*\d)[0-9a-fA-F]{{12,}}\b   # places in memory, digests
    | \b(?i:time\ stamp|horodatage|offset|décalage|process\ id|id\ du\ processus)[^\n]{{0,20}}?\b0x[0-9a-fA-F]{{1,16}}\b
    | \b(?i:pid|processus|process)\b[ ]?[:=n°]*[ ]?\d+ | \[\d+\] | (?<!\w)\(\d{(3,)}\)
    """,
    re.VERBOSE,
)
_HOME = re.compile(
    r"(?:/home/|/Users/|[A-Za-z]:\\Users\\)[^/\\\s'\"»”]+"
    r"(?P<rest>[/\\][^\s'\":;,)»”]*(?:(?:\ [^\s/\\:'\"]+){0,5}\ [^\s/\\:'\"]+\.\w{1,5}(?=:))?)?|~(?=/)"
)
_KEPT_OF_HOME = re.compile(r"[/\\](?P<kept>(?:\.[\w-]|AppData|Library)[^\s]*)")
_NUMBERED = re.compile(
    r"\b(?:error|erreur|errno|code|status|statut|state|exit|event|événement|évènement|http(?:/\d\.\d)?|returned|stop|arrêt)"
    r"(?:\s+(?:code|id|status|d’arrêt|d'arrêt|is|est))?[\s:=#(n°]{1,6}(?P<number>\d{1,6})(?![\w./])",
    re.IGNORECASE,
)
_EVENT_ID = re.compile(r"\bID\b[^\d\n]{0,25}\b(?P<number>\d{2,5})\b")
_CODE = re.compile(
    r"\b0[xX][0-9a-fA-F]{2,8}\b|\bKB\d{6,8}\b|\b\d{2,3}/[A-Z]{3,}\b|\b[A-Z]{2,8}-?\d{3,6}\b"
    r"|\b[A-Z][A-Z0-9]+(?:_[A-Z0-9]+)+\b|\bE[A-Z]{3,14}\b"
)
_UNMISTAKABLE = re.compile(r"\b0[xX][0-9a-fA-F]{4,8}\b|\bKB\d{6,8}\b|\b\d{2,3}/[A-Z]{3,}\b")
_ERRNO = frozenset(errno.errorcode.values())
_ENDINGS = (
    "service|socket|timer|mount|automount|target|path|slice|scope|device"
    "|exe|dll|sys|msi|ps1|cmd|bat|inf|cab|ko|conf|cfg|cnf|ini|deb|rpm|list|ya?ml|json|xml|pem|crt|key|ppd|lock|sock|py|sh"
)
_NAME = re.compile(
    rf"(?<![\w/\\.-])[\w@\\.+-]{{0,60}}\w\.(?i:{_ENDINGS})\b"  # units and files
    r"|(?<![\w/.])(?:/[\w@.+-]{1,60}){2,8}"
    r"|\b[A-Za-z]:\\(?:[\w$.()-]{1,60}(?: [\w$.()-]{1,60}){0,3}\\){0,8}[\w$.()-]{1,60}"
    r"|\bHK(?:LM|CU|EY_[A-Z_]+)(?:\\[\w$.()-]{1,60}){1,8}"
    r"|\b(?:Get|Set|New|Remove|Add|Start|Stop|Restart|Enable|Disable|Install|Update|Invoke|Import|Export|Test)-[A-Z]\w+"
    r"|\b[a-z]\w*-[a-z][\w-]*\d\w*\b|\blib[a-z][\w+-]*\.so(?:\.\d+)*"
)
_NAMED = re.compile(r"\b(?:paquet|package|unité|unit|module|commande|command|pilote|driver)\s+(?P<name>[\w.+@-]{3,60})")
_PROGRAM = re.compile(r"^\s*(?:[\w.-]+\s)?(?P<name>[A-Za-z][\w./-]{2,40}?):(?=\s)")
_QUOTED = re.compile(
    r"\"([^\"\n]{2,60})\"|«\s*([^»\n]{2,60}?)\s*»|“([^”\n]{2,60})”|‘([^’\n]{2,60})’|`([^`'\n]{2,60})['`]"
    r"|(?<!\w)'([^'\n]{2,60})'(?!\w)"
)
_CUE = re.compile(
    r"error|erreur|fail|échec|échou|echou|impossible|cannot|can't|could not|unable|denied|refus|not found|introuvable"
    r"|no such|aucun fichier|invalid|incorrect|fatal|panic|timed? ?out|délai|expir|unreachable|inaccessible|corrupt"
    r"|missing|manquant|absent|conflict|problem|problème|unmet|bad\b|mauvais|wrong|fault|défaill|crash|n['’]a pas pu"
    r"|n['’]est pas|exited|killed|segfault|exception|broken|cassé|locked|verrou|full\b|plein|unexpected|inattendu"
    r"|terminated|arrêt|\bis not\b|\bare not\b|inactive|denies|^[EW]:",
    re.IGNORECASE,
)
_WORD = re.compile(r"[^\W\d_]{3,}(?:-[^\W\d_]{2,})*")
_GENERIC = """
error errors erreur erreurs warning avertissement info notice debug fatal failed failure fail echec echoue code status
statut exit exited returned since ago main processus process result active loaded line ligne lines job see details cest
est was journal log level niveau event evenement source date user utilisateur computer ordinateur cet utc gmt eme fois
lun mar mer jeu ven sam dim mon tue wed thu fri sat sun the got please veuillez message systemd application name
"""
_SILENT = frozenset(_GENERIC.split()) | STOP_WORDS["fr"] | STOP_WORDS["en"]
_SIGNS = str.maketrans(dict.fromkeys('"«»“”*?', " "))
_COLON = re.compile(r"(?<!^[A-Za-z]):")  # but for a drive's


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorText:
    """What was picked, each once and in its order. ``question`` asks for it all, within the search's own bounds."""

    codes: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    quoted: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    question: str = ""


def read(output: str, *, title: str = "") -> ErrorText:
    """The question in ``output`` (any text, of any length); ``title``, such as a step's, adds its words at the end."""
    lines = [_without_noise(line) for line in _telling(shown(output, MAX_TEXT))]
    codes = _few(_codes(lines), CODES)
    names = _few((name for line in lines for name in _names(line)), NAMES)
    quoted = _few((text for line in lines for text in _quotes(line)), QUOTES, known=(*codes, *names))
    words = _few(_words([*lines, title]), MAX_QUERY_TERMS, known=(*codes, *names, *quoted))
    return ErrorText(
        codes=codes, names=names, quoted=quoted, words=words, question=_joined((*codes, *names, *quoted, *words))
    )


def _telling(text: str) -> list[str]:
    """The lines that complain, the last ones of them; all of the end where none does."""
    lines = list(dict.fromkeys(line.strip()[:LINE] for line in text.split("\n") if line.strip()))
    complaining = [line for line in lines if any(sign.search(line) for sign in (_CUE, _EVENT_ID, _UNMISTAKABLE))]
    return (complaining or lines)[-TELLING:]


def _without_noise(line: str) -> str:
    return _HOME.sub(_of_home, _NOISE.sub(" ", line)).strip()


def _of_home(match: re.Match[str]) -> str:
    """Of a person's folder only what a program keeps there: /home/anna/.ssh/config → .ssh/config."""
    kept = _KEPT_OF_HOME.match(match["rest"] or "")
    return kept["kept"] if kept else " "


def _codes(lines: Iterable[str]) -> Iterator[str]:
    for line in lines:
        for match in _CODE.finditer(line):
            if not match.group().isalpha() or match.group() in _ERRNO:
                yield match.group()
        for pattern in (_NUMBERED, _EVENT_ID):
            yield from (match["number"] for match in pattern.finditer(line) if int(match["number"]) > 2)


def _names(line: str) -> Iterator[str]:
    program = _PROGRAM.match(line)
    if program and fold(program["name"]) not in _SILENT:
        yield program["name"]
    yield from (match["name"].strip(".") for match in _NAMED.finditer(line) if _says_something(match["name"]))
    for match in _NAME.finditer(line):
        name = match.group().strip(".")
        if not name.startswith(("/tmp/", "/proc/", "/dev/null")):  # noqa: S108 - a text that is read
            yield name


def _says_something(word: str) -> bool:
    return fold(word) not in _SILENT and not _CUE.search(word)


def _quotes(line: str) -> Iterator[str]:
    for match in _QUOTED.finditer(line):
        text = " ".join(next(group for group in match.groups() if group).split())
        if any(c.isalpha() for c in text):
            yield text


def _words(lines: Iterable[str]) -> Iterator[str]:
    for line in lines:
        yield from (match.group() for match in _WORD.finditer(line) if fold(match.group()) not in _SILENT)


def _few(found: Iterable[str], limit: int, known: Iterable[str] = ()) -> tuple[str, ...]:
    """The first ``limit`` different ones that are no part of what is ``known``."""
    seen = [fold(text) for text in known]
    kept: dict[str, str] = {}
    for text in found:
        folded = fold(text)
        if folded not in kept and not any(folded in other for other in seen):
            kept[folded] = text
        if len(kept) == limit:
            break
    return tuple(kept.values())


def _joined(parts: Iterable[str]) -> str:
    """As much as fits into a question; nothing in it may be read as syntax: no quotes, stars, ``field:``, ``-not``."""
    question, room = "", MAX_QUERY_TERMS
    for part in parts:
        plain = " ".join(word.lstrip("-+") for word in _COLON.sub(" ", part.translate(_SIGNS)).split())
        cost = sum(1 for _ in tokens(plain, keep_stop_words=True))
        if plain and cost <= room and len(question) + 1 + len(plain) <= MAX_QUERY_CHARACTERS:
            question, room = f"{question} {plain}".strip(), room - cost
    return question
