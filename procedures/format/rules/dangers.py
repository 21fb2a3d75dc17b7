"""Commands that can destroy data or hand the machine over. A net for honest mistakes, not a proof of safety.

A script is cut into simple commands and each into words, so that the cost stays proportional to the script's length.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

MAX_SCRIPT = 16 * 1024

_COMMENT = re.compile(r"^[ \t]*(?:#|REM\b|::).*$", re.MULTILINE | re.IGNORECASE)
_LINE = re.compile(r"[\n;]|&&|\|\|")
_SHELLS = frozenset({"sh", "bash", "zsh", "dash", "ash", "ksh", "csh", "fish"})
_INTERPRETERS = _SHELLS | {"python", "python3", "perl", "ruby", "node", "php", "iex", "invoke-expression", "source"}
_DOWNLOADERS = frozenset({"curl", "wget", "fetch", "iwr", "irm", "invoke-webrequest", "invoke-restmethod"})
_DOWNLOADS = re.compile(r"\b(?:curl|wget|iwr|irm|invoke-webrequest|invoke-restmethod)\b|downloadstring", re.IGNORECASE)
_PREFIXES = frozenset(
    {"sudo", "doas", "env", "nohup", "time", "exec", "command", "then", "do", "else", "if", "while", "{", "!"}
)
_ROOT = re.compile(
    r"/(?:\*|\.)?|~/?\*?|\$\{?HOME\}?/?\*?|\*|\.\.?/?\*?"
    r"|/(?:etc|usr|var|home|boot|root|srv|opt|lib|bin|sbin|mnt|media|dev|proc|sys)/?\*?|/home/[\w.-]+/?\*?"
)
_DRIVE = re.compile(r"[a-z]:[\\/]?(?:(?:windows|users|program files)[\\/]?)?\*?", re.IGNORECASE)
_DISK = re.compile(r"/dev/(?:sd|hd|vd|xvd|nvme|mmcblk|mapper|md|disk)")
_PARTITIONERS = frozenset({"fdisk", "parted", "sgdisk", "cfdisk", "sfdisk"})
_ALWAYS = _PARTITIONERS | {
    "wipefs", "blkdiscard", "mkswap", "userdel", "deluser", "diskpart", "bcdedit",
    "format-volume", "clear-disk", "remove-partition", "initialize-disk",
}  # fmt: skip
_LOOKING = frozenset({"-l", "--list", "print", "-p"})
_WITH = {
    "passwd": {"-d", "--delete"},
    "iptables": {"-f", "--flush"},
    "ip6tables": {"-f", "--flush"},
    "nft": {"flush"},
    "ufw": {"reset", "disable"},
    "vssadmin": {"delete"},
    "cipher": {"/w"},
    "find": {"-delete"},
}
_FORK_BOMB = re.compile(r":\s*\(\)\s*\{\s*:\s*\|\s*:")


def danger(script: str) -> str | None:
    """The first dangerous command of a script, as written; None when none is recognised."""
    bare = _COMMENT.sub("", script[:MAX_SCRIPT]).replace("\\\n", " ")
    if _FORK_BOMB.search(bare):
        return ":(){ :|: & };:"
    lines = (line.strip() for line in _LINE.split(bare))
    return next((" ".join(line.split()) for line in lines if line and _is_dangerous(line)), None)


def _is_dangerous(line: str) -> bool:
    commands = [words for part in line.split("|") if (words := list(_words(part)))]
    return any(map(_is_destructive, commands)) or _runs_download(line, commands) or _overwrites_disk(line)


def _words(part: str) -> Iterator[str]:
    """Lower-cased words without quotes, from the command itself on: ``sudo -E rm x`` gives ``rm``, ``x``."""
    words = [word.strip("\"'`()") for word in part.replace("&", " ").split()]
    started = False
    for word in words:
        bare = word.lower()
        prefix = bare in _PREFIXES or bare.startswith("-") or ("=" in bare and not bare.startswith("of="))
        if not started and (not bare or prefix):
            continue
        yield bare if started else bare.rsplit("/", 1)[-1].removesuffix(".exe")
        started = True


def _is_destructive(words: Sequence[str]) -> bool:
    name, rest = words[0], words[1:]
    if name in _ALWAYS or name.startswith("mkfs"):
        return not (name in _PARTITIONERS and _LOOKING & set(rest))
    if name in _WITH and _WITH[name] & set(rest):
        return name != "find" or _names_tree(rest)
    return _erases(name, rest)


def _erases(name: str, rest: Sequence[str]) -> bool:
    if name in ("rm", "chmod", "chown", "chgrp"):
        return (_is_recursive(rest) and _names_tree(rest)) or (name == "rm" and _names_drive(rest))
    if name == "shred":
        return any(_DISK.match(word) for word in rest)
    if name == "dd":
        return any(word.startswith("of=") and bool(_DISK.match(word[3:])) for word in rest)
    if name == "find":
        return "-exec" in rest and "rm" in rest and _names_tree(rest)
    if name in ("remove-item", "ri", "del", "erase", "rmdir", "rd"):
        return _names_drive(rest)
    if name == "format":
        return any(re.fullmatch(r"[a-z]:", word) for word in rest)
    return name == "reg" and rest[:1] == ["delete"] and any(word.startswith("hk") for word in rest)


def _is_recursive(words: Sequence[str]) -> bool:
    return any(word == "--recursive" or (re.fullmatch(r"-[a-z]*r[a-z]*", word) is not None) for word in words)


def _names_tree(words: Sequence[str]) -> bool:
    return any(_ROOT.fullmatch(word) or _ROOT.fullmatch(word.upper()) for word in words)


def _names_drive(words: Sequence[str]) -> bool:
    return any(_DRIVE.fullmatch(word) for word in words)


def _runs_download(line: str, commands: Sequence[Sequence[str]]) -> bool:
    names = [words[0] for words in commands]
    for number, name in enumerate(names):
        if name in _DOWNLOADERS:
            return any(later in _INTERPRETERS for later in names[number + 1 :])
    runs = names and (names[0] in _SHELLS or names[0] in ("eval", "iex", "invoke-expression", "source", "."))
    return (
        bool(runs)
        and ("$(" in line or "<(" in line or names[0] in ("iex", "invoke-expression"))
        and bool(_DOWNLOADS.search(line))
    )


def _overwrites_disk(line: str) -> bool:
    return any(_DISK.match(part.strip()) for part in line.split(">")[1:])
