"""The words of a terminal's output, for search: escape sequences dropped, overwritten lines taken as last written."""

from __future__ import annotations

import re

# ECMA-48 §5.4 control sequences, §5.6 control strings (OSC, DCS, SOS, PM, APC), and two-character escapes.
ESCAPES = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\|$)|\x1b[ -/]*[0-~]|\x9b[0-?]*[ -/]*[@-~]"
)
CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
MAXIMUM = 262_144


def plain(output: str) -> str:
    """Readable lines of ``output``, at most MAXIMUM characters: the beginning and the end when it is longer."""
    lines = (_settled(line) for line in ESCAPES.sub("", output).split("\n"))
    text = "\n".join(line for line in lines if line.strip())
    return text if len(text) <= MAXIMUM else shortened(text)


def shortened(text: str) -> str:
    half = MAXIMUM // 2 - 2
    return f"{text[:half]}\n…\n{text[-half:]}"[:MAXIMUM]


def _settled(line: str) -> str:
    line = line.rstrip("\r")
    parts = [part for part in line.split("\r") if part]
    settled = ""
    for part in parts:
        settled = part + settled[len(part) :]
    while "\b" in settled:
        shorter = re.sub(r"[^\b]\b", "", settled, count=0)
        settled = shorter.replace("\b", "") if shorter == settled else shorter
    return CONTROLS.sub("", settled).rstrip()
