"""What a text names by itself: error codes and operating systems. Nothing is guessed."""

from __future__ import annotations

import re

CODES = re.compile(
    r"""(?<![\w./-])(?:
        0x[0-9A-Fa-f]{4,16}                       # Windows results
      | KB[0-9]{6,8}                              # Windows updates
      | AADSTS[0-9]{4,7}                          # Microsoft sign-in
      | [45][0-9]{2}[ -][45]\.[0-9]{1,3}\.[0-9]{1,3}   # mail (RFC 3463), with its reply
      | (?:ERROR|ERR|SSL_ERROR|SEC_ERROR|DLG_FLAGS)_[A-Z][A-Z0-9_]{3,60}
    )(?![\w-])""",
    re.VERBOSE,
)
LIMIT = 40
SYSTEMS = (
    ("windows", re.compile(r"\bWindows\b")),
    ("macos", re.compile(r"\b(?:macOS|Mac OS|OS X|Mac)\b")),
    ("linux", re.compile(r"\bLinux\b")),
)


def error_codes(*texts: str) -> tuple[str, ...]:
    """The codes in these texts, each once, in order, at most 40."""
    found = (match[0] for text in texts for match in CODES.finditer(text))
    return tuple(dict.fromkeys(found))[:LIMIT]


def systems(text: str) -> tuple[str, ...]:
    """The systems that a short text (a title) names."""
    return tuple(name for name, pattern in SYSTEMS if pattern.search(text))
