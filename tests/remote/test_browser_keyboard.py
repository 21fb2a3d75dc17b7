"""The page's numbered keys (keyboard.js), in a browser: against a server that takes, loses and gives back."""

import base64
from pathlib import Path

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
  }, () => {});
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


@pytest.fixture
async def play(browser):
    page = await browser.new_page()
    source = "data:text/javascript;base64," + base64.b64encode(SOURCE.read_bytes()).decode()

    async def run(*script: list[str]) -> dict:
        return await page.evaluate(WORLD, [source, list(script)])

    yield run
    await page.close()


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
