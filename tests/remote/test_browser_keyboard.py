"""The page's numbered keys (keyboard.js), in a browser: against a server that takes, loses and gives back."""

import base64
import random
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.browser
SOURCE = Path(__file__).parents[2] / "remote/static/remote/keyboard.js"
# A server that accepts bytes in order and hands them on to a machine; killed, it forgets what it did not hand on.
WORLD = """async ([source, script]) => {
  const { Keyboard } = await import(source);
  const world = { taken: 0, machine: "", buffer: "", up: true };
  const keyboard = new Keyboard((bytes, at) => {
    if (!world.up) return;
    const text = new TextDecoder().decode(bytes);
    if (at > world.taken) { world.gap = true; return; }
    const fresh = text.slice(world.taken - at);
    world.buffer += fresh;
    world.taken += fresh.length;
  }, () => {}, () => {});
  const acts = {
    type: (text) => keyboard.type(text),
    handOn: () => { world.machine += world.buffer; world.buffer = ""; },
    told: () => keyboard.arrived(world.taken - world.buffer.length),
    resume: () => { world.up = true; keyboard.resume(world.taken, world.taken - world.buffer.length); },
    cut: () => { world.up = false; keyboard.hold(); },
    deaf: () => { world.up = false; },
    kill: () => { world.taken -= world.buffer.length; world.buffer = ""; world.up = false; keyboard.hold(); },
    forget: () => keyboard.forgetHeld(),
  };
  for (const [name, ...values] of script) acts[name](...values);
  acts.handOn();
  return { machine: world.machine, gap: Boolean(world.gap), held: keyboard.held, text: keyboard.text };
}"""


# A server in which the keyboard goes from hand to hand; what either side says is under way until it is heard.
PASSING = """async ([source, script]) => {
  const { Keyboard } = await import(source);
  const world = { taken: 0, machine: "", mine: true, toServer: [], toPage: [] };
  const place = () => ({ upto: world.taken, confirmed: world.taken });
  const keyboard = new Keyboard(
    (bytes, at) => world.toServer.push(["keys", new TextDecoder().decode(bytes), at]),
    (number) => world.toServer.push(["again", number]),
    () => {},
  );
  const server = {
    keys(text, at) {
      if (!world.mine) { world.toPage.push(["refused", place()]); return; }
      if (at > world.taken) { world.toPage.push(["hold"]); return; }
      const fresh = text.slice(world.taken - at);
      world.machine += fresh;
      world.taken += fresh.length;
    },
    again(number) { world.toPage.push(["resume", place(), number]); },
  };
  const page = {
    refused: ({ upto }) => keyboard.refused(upto),
    hold: () => keyboard.hold(),
    resume: ({ upto, confirmed }, number) => keyboard.resume(upto, confirmed, number),
  };
  const acts = {
    type: (text) => { for (const letter of text) keyboard.type(letter); },
    arrive: (count = 1000) => world.toServer.splice(0, count).forEach(([kind, ...values]) => server[kind](...values)),
    hear: (count = 1000) => world.toPage.splice(0, count).forEach(([kind, ...values]) => page[kind](...values)),
    theirs: () => { world.mine = false; },
    mine: () => { world.mine = true; world.toPage.push(["resume", place()]); },
  };
  keyboard.resume(0, 0);
  for (const [name, ...values] of script) acts[name](...values);
  for (let round = 0; round < 5; round++) { acts.arrive(); acts.hear(); }
  return world.machine;
}"""


@pytest.fixture
async def run(browser):
    page = await browser.new_page()
    source = "data:text/javascript;base64," + base64.b64encode(SOURCE.read_bytes()).decode()

    async def run(world: str, script: list[list[object]]) -> Any:
        return await page.evaluate(world, [source, script])

    yield run
    await page.close()


@pytest.fixture
def play(run):
    return lambda *script: run(WORLD, list(script))


async def test_what_a_killed_server_had_taken_is_sent_again(play):
    """The page came back meanwhile, and was told how far the server had taken its keys; then the server was killed."""
    found = await play(
        ["resume"], ["type", "abc"], ["cut"], ["resume"], ["kill"], ["type", "de"], ["resume"], ["type", "f"]
    )
    assert (found["machine"], found["gap"]) == ("abcdef", False)


async def test_what_was_forgotten_is_not_taken_for_what_follows(play):
    """Of four keys the server had taken two when the line was cut; the rest is thrown away, and two more are typed."""
    found = await play(
        ["resume"], ["type", "ab"], ["deaf"], ["type", "cd"], ["cut"], ["forget"], ["type", "ef"], ["resume"]
    )
    assert (found["machine"], found["gap"]) == ("abef", False)


async def test_what_waits_is_shown_until_the_machine_has_it(play):
    found = await play(["resume"], ["type", "ab"], ["cut"], ["type", "cd"])
    assert (found["held"], found["text"]) == (True, "abcd")
    found = await play(["resume"], ["type", "ab"], ["cut"], ["forget"])
    assert (found["held"], found["text"]) == (False, "")
    found = await play(["resume"], ["type", "ab"], ["handOn"], ["told"], ["cut"])
    assert (found["held"], found["text"]) == (False, "")


@pytest.mark.parametrize(
    ("script", "machine"),
    [
        ([["type", "a"], ["arrive"], ["theirs"], ["type", "xy"], ["arrive"], ["mine"], ["hear"], ["type", "b"]], "ab"),
        # Refused twice; the second refusal is heard after it is this page's turn again and more was typed.
        (
            [["theirs"], ["type", "xy"], ["arrive", 1], ["hear"], ["mine"], ["arrive", 1], ["hear"], ["type", "b"]],
            "b",
        ),
        # What was typed out of turn comes in turn, with a gap before it.
        (
            [["theirs"], ["type", "xy"], ["arrive", 1], ["mine"], ["arrive"], ["type", "b"], ["hear"], ["type", "c"]],
            "c",
        ),
    ],
)
async def test_what_was_refused_is_thrown_away_and_what_follows_is_not(run, script, machine):
    assert await run(PASSING, script) == machine


async def test_however_the_keyboard_is_passed_no_later_key_is_lost(run):
    """After any passing about, once it is this page's turn and all is heard, every key that is typed arrives, once."""
    dice = random.Random(7)
    for _ in range(150):
        acts = [["type", "x"], ["arrive", 1], ["hear", 1], ["theirs"], ["mine"]]
        script = [dice.choice(acts) for _ in range(dice.randrange(4, 30))]
        settled = [["mine"], *[["arrive"], ["hear"]] * 4]
        found = await run(PASSING, [*script, *settled, ["type", "end"]])
        assert found.endswith("end"), script
        assert found.count("x") <= script.count(["type", "x"]), script
