"""Where in a script may ``{{name}}`` stand, and what is put there.

A small scanner follows the quoting of the script up to each placeholder. It is deliberately stricter than the shells:
whatever it does not follow with certainty is refused, because a wrong guess would let a value become a command.
Scripts without placeholders are returned as they are.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

PLACEHOLDER = re.compile(r"\{\{([a-z][a-z0-9_]{0,39})\}\}")

QUOTES = "a placeholder must not stand inside quotes: leave the quotes out, it becomes one quoted word by itself"
COMMENT = "a placeholder must not stand inside a comment"
HERE_DOCUMENT = "a placeholder must not stand inside a here-document"
BACKTICKS = "a placeholder must not stand inside backticks: use $(…)"
EXPANSION = "a placeholder must not stand inside an expansion"
ESCAPED = "a placeholder must not follow a backslash or a dollar sign"
ADJACENT = "a placeholder must be a word of its own in PowerShell"
UNCLEAR = "the script's quoting is too intricate to insert a value safely"
NO_SHELL = "placeholders are not supported in this shell"


class Misplaced(ValueError):
    """``name`` stands where its value could be read as something else than one word."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(reason)
        self.name = name
        self.reason = reason


def quote_placeholders(script: str, values: Mapping[str, str], *, shell: str) -> str:
    """See :func:`compagnon_agent.protocol.parameters.substitute`."""
    if not PLACEHOLDER.search(script):
        return script
    if shell == "sh":
        return _Shell(script, values).run()
    if shell == "powershell":
        return _PowerShell(script, values).run()
    raise Misplaced(PLACEHOLDER.findall(script)[0], NO_SHELL)


class _Scanner:
    def __init__(self, script: str, values: Mapping[str, str]) -> None:
        self.script = script
        self.values = values
        self.at = 0
        self.out: list[str] = []

    def peek(self, text: str) -> bool:
        return self.script.startswith(text, self.at)

    def take(self, count: int = 1) -> str:
        piece = self.script[self.at : self.at + count]
        self.out.append(piece)
        self.at += count
        return piece

    @property
    def done(self) -> bool:
        return self.at >= len(self.script)

    @property
    def before(self) -> str:
        return self.script[self.at - 1] if self.at else "\n"

    def refuse(self, reason: str) -> Misplaced:
        """Blame the next placeholder, or the first one when none follows."""
        match = PLACEHOLDER.search(self.script, self.at) or PLACEHOLDER.search(self.script)
        return Misplaced(match.group(1) if match else "", reason)

    def take_until(self, end: str, reason: str) -> None:
        """Copy up to and including ``end``; a placeholder on the way is refused. The end must come."""
        stop = self.script.find(end, self.at)
        self.take_to(len(self.script) if stop < 0 else stop + len(end), reason)
        if stop < 0:
            raise self.refuse(UNCLEAR)

    def take_line(self, reason: str) -> None:
        stop = self.script.find("\n", self.at)
        self.take_to(len(self.script) if stop < 0 else stop, reason)

    def take_to(self, stop: int, reason: str) -> None:
        match = PLACEHOLDER.search(self.script, self.at, stop)
        if match:
            raise Misplaced(match.group(1), reason)
        self.take(stop - self.at)


_WORD_START = frozenset(" \t\n;|&()<>")
_SIMPLE_EXPANSION = re.compile(r"\$\{[#!]?[A-Za-z0-9_@*#?$!-]+([:#%/^,+=?-][^\"'`\\{}$<\n]*)?\}")
_DELIMITER = re.compile(r"<<(-?)[ \t]*(?:'([A-Za-z0-9_]+)'|\"([A-Za-z0-9_]+)\"|\\?([A-Za-z0-9_]+))")


class _Shell(_Scanner):
    """POSIX shell (IEEE 1003.1 §2.2 quoting, §2.6 expansions, §2.7.4 here-documents)."""

    def __init__(self, script: str, values: Mapping[str, str]) -> None:
        super().__init__(script, values)
        self.quoted = 0  # how many of the open contexts are double quotes
        self.documents: list[tuple[bool, str]] = []

    def run(self) -> str:
        self.commands(nested=False)
        if self.documents:
            raise self.refuse(UNCLEAR)
        return "".join(self.out)

    def commands(self, *, nested: bool) -> None:
        """Ordinary text, up to the ``)`` that ends a command substitution when ``nested``."""
        depth = 0
        while not self.done:
            if nested and depth == 0 and self.peek(")"):
                self.take()
                return
            if nested:
                self.refuse_intricate()
                depth += {"(": 1, ")": -1}.get(self.script[self.at], 0)
            self.one()
        if nested:
            raise self.refuse(UNCLEAR)

    def refuse_intricate(self) -> None:
        # Patterns of `case` have unbalanced parentheses; comments and here-documents inside $(…) hide more of them.
        starts = self.before in _WORD_START
        if starts and re.compile(r"(case|esac)\b").match(self.script, self.at):
            raise self.refuse(UNCLEAR)
        if (starts and self.peek("#")) or self.peek("<<"):
            raise self.refuse(UNCLEAR)

    def one(self) -> None:
        character = self.script[self.at]
        match = PLACEHOLDER.match(self.script, self.at)
        if match:
            self.insert(match)
        elif character == "\\":
            self.escape()
        elif character == "'":
            self.take()
            self.take_until("'", QUOTES)
        elif character == '"':
            self.double_quotes()
        elif character == "`":
            self.backticks()
        elif character == "$":
            self.dollar()
        else:
            self.plain(character)

    def plain(self, character: str) -> None:
        if character == "#" and self.before in _WORD_START:
            self.take_line(COMMENT)
        elif self.peek("<<"):
            self.here_document()
        elif character == "\n" and self.documents:
            self.take()
            self.document_bodies()
        else:
            self.take()

    def insert(self, match: re.Match[str]) -> None:
        if self.quoted:
            raise Misplaced(match.group(1), QUOTES)
        if self.before == "$":
            raise Misplaced(match.group(1), ESCAPED)
        value = self.values[match.group(1)]
        self.out.append("'" + value.replace("'", "'\"'\"'") + "'")
        self.at = match.end()

    def escape(self) -> None:
        self.take()
        if PLACEHOLDER.match(self.script, self.at):
            raise self.refuse(ESCAPED)
        if not self.done:
            self.take()

    def backticks(self) -> None:
        self.take()
        while not self.done and not self.peek("`"):
            if PLACEHOLDER.match(self.script, self.at):
                raise self.refuse(BACKTICKS)
            self.take(2 if self.peek("\\") else 1)
        if self.done:
            raise self.refuse(UNCLEAR)
        self.take()

    def dollar(self) -> None:
        if self.peek("$(("):
            self.arithmetic()
        elif self.peek("$("):
            self.take(2)
            self.commands(nested=True)
        elif self.peek("${"):
            match = _SIMPLE_EXPANSION.match(self.script, self.at)
            if not match:
                raise self.refuse(EXPANSION if self.peek("${{") else UNCLEAR)
            self.take(match.end() - self.at)
        elif self.peek("$'") or (self.peek('$"') and not self.quoted):
            raise self.refuse(UNCLEAR)  # bash's own quotes; sh reads them otherwise
        else:
            self.take()
            if self.script[self.at : self.at + 1] in {"#", "$"}:
                self.take()  # $# and $$ are parameters, not a comment

    def arithmetic(self) -> None:
        stop = self.script.find("))", self.at)
        inside = self.script[self.at + 3 : stop]
        if stop < 0 or re.search(r"[\"'`\\]|\$\(", inside):
            raise self.refuse(UNCLEAR)
        self.take_to(stop + 2, EXPANSION)

    def double_quotes(self) -> None:
        self.take()
        self.quoted += 1
        while not self.done and not self.peek('"'):
            self.inside_quotes()
        if self.done:
            raise self.refuse(UNCLEAR)
        self.take()
        self.quoted -= 1

    def inside_quotes(self) -> None:
        if PLACEHOLDER.match(self.script, self.at):
            raise self.refuse(QUOTES)
        if self.peek("\\"):
            self.escape()
        elif self.peek("`"):
            self.backticks()
        elif self.peek("$") and not self.peek("$'") and not self.peek('$"'):
            self.dollar()
        else:
            self.take()

    def here_document(self) -> None:
        match = _DELIMITER.match(self.script, self.at)
        if not match or self.peek("<<<"):
            raise self.refuse(UNCLEAR)
        word = match.group(2) or match.group(3) or match.group(4)
        self.documents.append((match.group(1) == "-", word))
        self.take(match.end() - self.at)

    def document_bodies(self) -> None:
        for strip, word in self.documents:
            self.document_body(strip, word)
        self.documents = []

    def document_body(self, strip: bool, word: str) -> None:
        while not self.done:
            start = self.at
            self.take_line(HERE_DOCUMENT)
            line = self.script[start : self.at]
            if (line.lstrip("\t") if strip else line) == word:
                return
            self.take()
        raise self.refuse(UNCLEAR)


# PowerShell takes the typographic quotes for the plain ones (about_Quoting_Rules).
_SINGLE = "'\u2018\u2019\u201a\u201b"
_DOUBLE = '"\u201c\u201d\u201e'
_OPENS = frozenset(" \t\n(,=;|{&")
_CLOSES = frozenset(" \t\r\n),;|}")


class _PowerShell(_Scanner):
    """Windows PowerShell: single-quoted literal strings, doubled quotes inside."""

    def run(self) -> str:
        while not self.done:
            self.one()
        return "".join(self.out)

    def one(self) -> None:
        character = self.script[self.at]
        match = PLACEHOLDER.match(self.script, self.at)
        if match:
            self.insert(match)
        elif character == "`":
            self.escape()
        elif character == "@" and self.script[self.at + 1 : self.at + 2] in set(_SINGLE + _DOUBLE):
            self.here_string()
        elif character in _SINGLE or character in _DOUBLE:
            self.string(_SINGLE if character in _SINGLE else _DOUBLE)
        elif self.peek("<#"):
            self.take_until("#>", COMMENT)
        elif character == "#" and self.before in _OPENS | _CLOSES:
            self.take_line(COMMENT)
        else:
            self.refuse_stop_parsing()
            self.take()

    def refuse_stop_parsing(self) -> None:
        if self.peek("--%"):  # after it the rest of the line is passed on raw
            raise self.refuse(UNCLEAR)

    def escape(self) -> None:
        self.take()
        if PLACEHOLDER.match(self.script, self.at):
            raise self.refuse(ESCAPED)
        if not self.done:
            self.take()

    def insert(self, match: re.Match[str]) -> None:
        after = self.script[match.end() : match.end() + 1] or "\n"
        if self.before not in _OPENS or after not in _CLOSES:
            raise Misplaced(match.group(1), ADJACENT)
        value = re.sub(f"[{_SINGLE}]", lambda quote: quote.group() * 2, self.values[match.group(1)])
        self.out.append(f"'{value}'")
        self.at = match.end()

    def here_string(self) -> None:
        quotes = _SINGLE if self.script[self.at + 1] in _SINGLE else _DOUBLE
        end = re.compile(f"\n[{quotes}]@").search(self.script, self.at)
        if not end:
            raise self.refuse(UNCLEAR)
        self.take_to(end.end(), HERE_DOCUMENT)

    def string(self, quotes: str) -> None:
        self.take()
        while not self.done and self.script[self.at] not in quotes:
            if PLACEHOLDER.match(self.script, self.at):
                raise self.refuse(QUOTES)
            if quotes is _DOUBLE and self.peek("$("):
                raise self.refuse(UNCLEAR)
            self.take(2 if quotes is _DOUBLE and self.peek("`") else 1)
        if self.done:
            raise self.refuse(UNCLEAR)
        self.take()
