"""Values are validated, and whatever they hold they stay one word: tried against a real shell."""

from __future__ import annotations

import shutil
import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compagnon_agent.protocol.parameters import (
    Parameter,
    ParameterError,
    ParameterType,
    placeholders,
    substitute,
    validate,
    validate_all,
)


def parameter(kind: str, **fields) -> Parameter:
    return Parameter(name="valeur", type=ParameterType(kind), **fields)


@pytest.mark.parametrize(
    ("kind", "raw", "canonical"),
    [
        ("text", "  l'été  ", "l'été"),
        ("integer", "-042", "-42"),
        ("boolean", "Oui", "true"),
        ("boolean", "off", "false"),
        ("ipv4", "192.168.1.20", "192.168.1.20"),
        ("ipv6", "FE80:0::1", "fe80::1"),
        ("hostname", "Imprimante.Exemple.FR.", "imprimante.exemple.fr"),
        ("port", "0631", "631"),
        ("path", "/srv/d'un dossier", "/srv/d'un dossier"),
        ("path", "C:\\Users\\Marie", "C:\\Users\\Marie"),
        ("path", "~/Documents", "~/Documents"),
        ("package", "libc6:amd64", "libc6:amd64"),
        ("service", "getty@tty1.service", "getty@tty1.service"),
        ("username", "marie.d", "marie.d"),
    ],
)
def test_canonical_text(kind, raw, canonical):
    assert validate(parameter(kind), raw) == canonical


@pytest.mark.parametrize(
    ("kind", "raw"),
    [
        ("text", "-rf"),
        ("text", "deux\nlignes"),
        ("text", "cloche\x07"),
        ("text", "x" * 1001),
        ("text", "retourné\u202e"),
        ("text", ""),
        ("integer", "1.5"),
        ("integer", "١٢"),
        ("boolean", "peut-être"),
        ("ipv4", "1.2.3"),
        ("ipv4", "1.2.3.4; reboot"),
        ("ipv6", "fe80::1%eth0"),
        ("hostname", "-x.fr"),
        ("hostname", "a..b"),
        ("hostname", "é" * 3),
        ("port", "0"),
        ("port", "65536"),
        ("path", "relatif"),
        ("path", "/a/../etc/shadow"),
        ("package", "-o"),
        ("package", "a b"),
        ("service", "a;b"),
        ("service", "../cups"),
        ("username", "0marie"),
        ("username", "-u"),
    ],
)
def test_refused(kind, raw):
    with pytest.raises(ParameterError):
        validate(parameter(kind), raw)


def test_bounds_choices_and_defaults():
    assert validate(parameter("integer", minimum=1, maximum=5), "5") == "5"
    for raw in ("0", "6"):
        with pytest.raises(ParameterError):
            validate(parameter("integer", minimum=1, maximum=5), raw)
    assert validate(parameter("choice", choices=("a4", "letter")), "a4") == "a4"
    with pytest.raises(ParameterError) as caught:
        validate(parameter("choice", choices=("a4", "letter")), "a5")
    assert caught.value.params == {"choices": "a4, letter"}
    assert validate(parameter("text", required=False), " ") == ""
    assert validate(parameter("port", default="631"), "") == "631"
    with pytest.raises(ParameterError, match="not a parameter"):
        validate_all((parameter("text"),), {"valeur": "x", "autre": "y"})


WORD = "printf '%s' {{x}}"


def run(script: str) -> str:
    done = subprocess.run(["/bin/sh", "-c", script], capture_output=True, text=True, timeout=20, check=False)
    assert done.returncode == 0, (script, done.stderr)
    return done.stdout


one_line = st.text(st.characters(exclude_categories=("Cc", "Cs", "Zl", "Zp")), max_size=60)
nasty = st.text(st.sampled_from("'\"`$(){}\\;&|<>#!*?~ \u2019-ab"), max_size=30)


@settings(max_examples=150, deadline=None)
@given(st.one_of(one_line, nasty))
def test_a_value_stays_one_word_in_sh(value):
    if any("\u202a" <= character <= "\u202e" or "\u2066" <= character <= "\u2069" for character in value):
        return
    for script in (
        WORD,
        f'[ "$(true)" = "" ] && {WORD}',
        f'# c\'est "ainsi"\n{WORD}',
        f"y=$({WORD}); printf '%s' \"$y\"",
    ):
        expected = value.rstrip("\n")
        assert run(substitute(script, {"x": value}, shell="sh")) == expected


@pytest.mark.parametrize(
    "script",
    [
        "echo '{{x}}'",
        'echo "{{x}}"',
        'echo "a" "b {{x}} c"',
        'echo "$(echo {{x}})"',
        'echo "$(echo "{{x}}")"',
        'echo "$(case a in a) echo "{{x}}" ;; esac)"',
        "echo `echo {{x}}`",
        "echo ok # {{x}}",
        "cat <<EOF\n{{x}}\nEOF",
        "cat <<'EOF'\n{{x}}\nEOF",
        "cat <<-EOF\n\t{{x}}\n\tEOF",
        "cat <<EOF\nEOF2\n{{x}}",
        "cat <<< {{x}}",
        "echo \\{{x}}",
        "echo ${{x}}",
        "echo $'a' {{x}}",
        "echo ${{{x}}}",
        "echo ${y:-{{x}}}",
        "echo ${y:-'} {{x}}",
        "echo $(( {{x}} ))",
        "echo 'unclosed {{x}}",
        'echo "unclosed {{x}}',
        "echo $(echo {{x}}",
        "echo $(echo # )\n) {{x}}",
        "echo $(cat <<E\n)\nE\n) {{x}}",
    ],
)
def test_places_where_a_word_would_not_stay_one_are_refused(script):
    with pytest.raises(ParameterError) as caught:
        substitute(script, {"x": "$(touch /nowhere)"}, shell="sh")
    assert caught.value.name == "x"


@pytest.mark.parametrize(
    ("script", "value", "printed"),
    [
        ("printf '%s' --option={{x}}", "a b", "--option=a b"),
        ("printf '%s' a{{x}}b", "'", "a'b"),
        ("if [ $# -eq 0 ]; then printf '%s' {{x}}; fi # d'accord", "ok", "ok"),
        ("n=$((1 << 2)); printf '%s' $n{{x}}", "é", "4é"),
        ("cat <<EOF >/dev/null\nit's \"fine\"\nEOF\nprintf '%s' {{x}}", "$HOME", "$HOME"),
        ("y=${HOME:-none}; printf '%s' {{x}}", "`id`", "`id`"),
        ("case a in a) printf '%s' {{x}} ;; esac", "*", "*"),
        ('printf \'%s\' "a\\"b" {{x}}', ";", 'a"b;'),
        ("printf %s {{x}}{{x}}", "", ""),
    ],
)
def test_ordinary_scripts_work(script, value, printed):
    assert run(substitute(script, {"x": value}, shell="sh")) == printed


def test_names_are_found_and_missing_values_are_told():
    assert placeholders("a {{b}} {{c}} {{b}} {{ d }}") == ("b", "c")
    with pytest.raises(ParameterError, match="no value"):
        substitute("echo {{x}}", {}, shell="sh")
    with pytest.raises(ParameterError, match="one line"):
        substitute("echo {{x}}", {"x": "a\nb"}, shell="sh")
    assert substitute("awk '{print $1}' \"$x\"", {}, shell="sh") == "awk '{print $1}' \"$x\""


@pytest.mark.parametrize(
    ("script", "value", "expected"),
    [
        ("Restart-Service {{x}}", "Spooler", "Restart-Service 'Spooler'"),
        ("Get-Item -Path {{x}} | Out-Null", "C:\\l'été", "Get-Item -Path 'C:\\l''été' | Out-Null"),
        ("Write-Output {{x}}", "a\u2019;b", "Write-Output 'a\u2019\u2019;b'"),
        ("# d'accord\nWrite-Output ({{x}})", "$(x)", "# d'accord\nWrite-Output ('$(x)')"),
    ],
)
def test_powershell_quoting(script, value, expected):
    assert substitute(script, {"x": value}, shell="powershell") == expected


@pytest.mark.parametrize(
    "script",
    [
        "Write-Output '{{x}}'",
        'Write-Output "{{x}}"',
        "Write-Output \u201c{{x}}\u201d",
        'Write-Output "$(Get-Item "a")" {{x}}',
        "Write-Output a{{x}}",
        "Write-Output {{x}}b",
        "Write-Output `{{x}}",
        "<# {{x}} #>",
        "@'\n{{x}}\n'@",
        "cmd --% {{x}}",
        "Write-Output 'unclosed {{x}}",
    ],
)
def test_powershell_refusals(script):
    with pytest.raises(ParameterError):
        substitute(script, {"x": "v"}, shell="powershell")


def test_cmd_takes_no_placeholders():
    assert substitute("dir", {}, shell="cmd") == "dir"
    with pytest.raises(ParameterError):
        substitute("dir {{x}}", {"x": "c"}, shell="cmd")


@pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed")
@settings(max_examples=60, deadline=None)
@given(st.text(st.sampled_from("{}x'\"`$()\\#<\n -ab=E"), max_size=25), nasty)
def test_whatever_the_script_a_value_is_never_executed(script, value):
    """Random scripts around a placeholder: either refused, or the value's own command does not run."""
    source = f"{script}{{{{x}}}}\n"
    poison = f'{value}$(echo ran >&3)`echo ran >&3`;echo ran >&3;\'";echo ran >&3;"'
    try:
        filled = substitute(source, {"x": poison}, shell="sh")
    except ParameterError:
        return
    for shell in ("/bin/sh", "bash"):
        done = subprocess.run(
            [shell, "-c", f"exec 3>&1 >/dev/null 2>&1 </dev/null; PATH=/nowhere\n{filled}"],
            capture_output=True,
            text=True,
            timeout=20,
            check=False,
        )
        assert "ran" not in done.stdout, filled
