"""The procedure format: read, judge, write, show. See ``docs/reference/procedure-format.md``."""

from procedures.format.model import Procedure, Step
from procedures.format.parse import Draft, parse, read
from procedures.format.problems import Finding, FormatError, Severity
from procedures.format.render import canonical, digest, render

__all__ = ["Draft", "Finding", "FormatError", "Procedure", "Severity", "Step", "canonical", "digest", "parse", "read", "render"]
