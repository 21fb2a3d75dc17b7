"""What is picked from real outputs of machines, and what is left out of the question."""

from __future__ import annotations

import pytest

from kb.search.error_text import MAX_TEXT, read
from kb.search.model import MAX_QUERY_CHARACTERS, MAX_QUERY_TERMS
from kb.search.question import ask
from kb.search.terminal_text import shown

SYSTEMD = """\
× cups.service - CUPS Scheduler
     Loaded: loaded (/lib/systemd/system/cups.service; enabled; preset: enabled)
     Active: failed (Result: exit-code) since Tue 2024-03-12 08:00:01 CET; 3min 12s ago
   Main PID: 4242 (code=exited, status=203/EXEC)
mars 12 08:00:01 poste-accueil systemd[1]: cups.service: Main process exited, code=exited, status=203/EXEC
mars 12 08:00:01 poste-accueil systemd[1]: Failed to start cups.service - CUPS Scheduler.
"""
APT_FR = """\
Lecture des listes de paquets... 0%\rLecture des listes de paquets... Fait
Construction de l'arbre des dépendances... Fait
E: Impossible de trouver le paquet inventaire-poste
"""
DPKG = """\
E: Could not get lock /var/lib/dpkg/lock-frontend. It is held by process 3121 (unattended-upgr)
E: Unable to acquire the dpkg frontend lock (/var/lib/dpkg/lock-frontend), is another process using it?
"""
EVENT_FR = """\
Nom du journal : System
Date :           12/03/2024 08:00:01
ID de l’événement :7031
Description :
Le service Spouleur d’impression s’est terminé par surprise. Erreur 0x80070005. C:\\Windows\\System32\\spoolsv.exe
"""
CRASH_EN = """\
Faulting application name: OUTLOOK.EXE, version: 16.0.17328.20162, time stamp: 0x65e8a5d1
Exception code: 0xc0000005
Fault offset: 0x000000000012ab34
Faulting process id: 0x2f3c
Faulting application path: C:\\Program Files\\Microsoft Office\\root\\Office16\\OUTLOOK.EXE
Report Id: 8f3c1b7e-3a67-4dc6-b5f6-cf51cb2b9a11
"""
CUPS = """\
E [12/Mar/2024:08:00:01] [Job 41] File "/usr/lib/cups/filter/rastertoepson" not available: No such file or directory
lpstat: Erreur - le serveur d’impression « Accueil » n’existe pas
"""
SMB = "mount error(13): Permission denied\nsession setup failed: NT_STATUS_LOGON_FAILURE"
PYTHON = """\
Traceback (most recent call last):
  File "/opt/inventaire-poste/inventaire.py", line 12, in <module>
PermissionError: [Errno 13] Permission denied: '/etc/inventaire.conf'
"""
NODE = "npm ERR! Error: connect ECONNREFUSED 10.1.2.3:5432 at ESTABLISHED"


@pytest.mark.parametrize(
    ("output", "codes", "names"),
    [
        (SYSTEMD, {"203/EXEC"}, {"cups.service"}),
        (APT_FR, set(), {"inventaire-poste"}),
        (DPKG, set(), {"/var/lib/dpkg/lock-frontend"}),
        (EVENT_FR, {"7031", "0x80070005"}, {"C:\\Windows\\System32\\spoolsv.exe"}),
        (CRASH_EN, {"0xc0000005"}, {"OUTLOOK.EXE", "C:\\Program Files\\Microsoft Office\\root\\Office16\\OUTLOOK.EXE"}),
        (CUPS, set(), {"/usr/lib/cups/filter/rastertoepson", "lpstat"}),
        (SMB, {"13", "NT_STATUS_LOGON_FAILURE"}, set()),
        (PYTHON, {"13"}, {"PermissionError", "/etc/inventaire.conf"}),
        (NODE, {"ECONNREFUSED"}, set()),
        ("curl: (22) The requested URL returned error: 404", {"404"}, {"curl"}),
        ("Windows Update: KB5034441 failed with 0x80070643", {"KB5034441", "0x80070643"}, set()),
        ("Start-Service : Service 'Spooler' cannot be started", set(), {"Start-Service"}),
    ],
)
def test_codes_and_names_are_picked(output: str, codes: set[str], names: set[str]) -> None:
    found = read(output)
    assert set(found.codes) == codes
    assert names <= set(found.names)


def test_the_strongest_comes_first() -> None:
    question = read(SYSTEMD, title="Démarrez l'impression").question
    order = [question.index(word) for word in ("203/EXEC", "cups.service", "Scheduler", "impression")]
    assert order == sorted(order)


def test_quotes_are_kept_and_elisions_are_no_quotes() -> None:
    assert read(CUPS).quoted == ("Accueil",)
    assert read("Erreur : l'imprimante n'est pas là, d'où l'échec").quoted == ()
    assert read("E: Could not resolve 'deb.debian.org'").quoted == ("deb.debian.org",)


@pytest.mark.parametrize(
    ("output", "absent"),
    [
        (SYSTEMD, ("2024", "08:00", "4242", "poste-accueil", "CET", "3min", "mars")),
        (APT_FR, ("0%", "Construction", "arbre")),
        (DPKG, ("3121",)),
        (EVENT_FR, ("2024", "12/03")),
        (CRASH_EN, ("0x65e8a5d1", "12ab34", "0x2f3c", "8f3c1b7e", "20162")),
        (NODE, ("10.1.2.3", "5432")),
        ("segfault at 0x00007ffd3a2b1c00 and de:ad:be:ef:00:01 and fe80::1:2:3:4", ("0x0000", "dead", "de:ad", "fe80")),
        ("error: /home/camille/Documents/devis Martin.txt: cannot open", ("camille", "Documents", "devis", "Martin")),
        ("error: C:\\Users\\Camille\\Desktop\\facture.xlsx locked", ("Camille", "Desktop", "facture")),
        ("error: bad mail to camille@example.org", ("camille", "example")),
        ("fatal: commit 9fceb02d0ae598e95dc970b74767f19372d61af8 is corrupt", ("9fceb",)),
    ],
)
def test_what_belongs_to_one_machine_or_moment_is_left_out(output: str, absent: tuple[str, ...]) -> None:
    question = read(output).question
    assert question
    assert [text for text in absent if text in question] == []


def test_of_a_persons_folder_what_programs_keep_there_stays() -> None:
    question = read("Bad owner or permissions on /home/camille/.ssh/config").question
    assert "ssh/config" in question or "ssh config" in question
    assert "camille" not in question


def test_lines_that_complain_speak_for_the_whole() -> None:
    noise = "\n".join(f"Setting up libfoo{n} (1.{n}) over the previous one" for n in range(200))
    question = read(f"{noise}\nE: Unable to locate package inventaire-poste\n{noise}").question
    assert question.startswith("inventaire-poste")
    assert "libfoo" not in question


def test_without_any_complaint_the_end_speaks() -> None:
    assert "reboot" in read("one\n" * 50 + "please reboot the printer").question


@pytest.mark.parametrize(
    "output",
    [
        'error: unknown option -f --configure type:foo os:linux title:x "un mot" *joker wild* +plus',
        '« échec » “quoted” "a" -not état:x lang:fr',
    ],
)
def test_nothing_in_the_question_is_read_as_syntax(output: str) -> None:
    question = read(output).question
    assert not set('"«»“”*?') & set(question)
    assert not any(word.startswith(("-", "+")) or (":" in word) for word in question.split())
    assert ask(question).phrases == ()
    assert ask(question).notices == ()


@pytest.mark.parametrize(
    "output",
    [
        "",
        "\x00\x1b[31m\x1b]0;title\x07\x9b1m",
        "error " * 100_000,
        "\x1bP" * 50_000,
        "\x1b]" * 50_000,
        "x\x08" * 50_000,
        "'" * 50_000,
        "/a" * 50_000,
        "\\a" * 50_000,
        "error " + "a-" * 50_000,
        "error C:\\" + "a b " * 50_000,
        ":" * 50_000,
        "error 0x" + "f" * 50_000,
        "(((((" * 20_000,
        "erreur \u202e\u200b\ud800 ",
        "a\r" * 50_000,
        "\n" * 100_000,
        "since " * 20_000,
        "[   " * 20_000,
    ],
)
def test_anything_is_read_within_bounds(output: str) -> None:
    found = read(output, title=output[:1000])
    assert len(found.question) <= MAX_QUERY_CHARACTERS
    assert len(ask(found.question).words) <= MAX_QUERY_TERMS
    assert ask(found.question).notices == ()


def test_many_names_leave_room_for_words() -> None:
    output = "\n".join(f"error: unit{n}.service is broken on the printer" for n in range(50))
    found = read(output)
    assert len(found.names) == 6
    assert "printer" in found.question


@pytest.mark.parametrize(
    ("sent", "seen"),
    [
        ("\x1b[1;31mE:\x1b[0m rouge", "E: rouge"),
        ("10%\r20%\r100% fait\r\n", "100% fait\n"),
        ("N\x08NA\x08AM\x08ME\x08E", "NAME"),
        ("\x1b]0;titre\x07texte \x1b]8;;http://x\x1b\\lien\x1b]8;;\x1b\\", "texte lien"),
        ("\x1bPq#0;2;0\x1b\\apr\x07ès", "après"),
        ("a\tb\u202ec", "a bc"),
    ],
)
def test_text_as_a_terminal_shows_it(sent: str, seen: str) -> None:
    assert shown(sent, MAX_TEXT) == seen


def test_only_the_end_of_a_long_text_is_read() -> None:
    assert shown("abc", 2) == "bc"
