// The draft of the capture screen, in this browser: a reload, a closed page or a lost network costs nothing.
// It goes only when the server shows, by `?done=<request key>`, that the ticket it belongs to exists. The request key is
// kept with it: sending a restored draft again opens the same ticket, never a second one.

const KEEP = 24 * 3600 * 1000; // milliseconds

function name() {
  return `draft:${document.body.dataset.member}:capture`;
}

export function read() {
  try {
    const kept = JSON.parse(localStorage.getItem(name()));
    return kept && Date.now() - kept.at < KEEP ? kept.values : null;
  } catch {
    return null;
  }
}

export function write(values) {
  try { localStorage.setItem(name(), JSON.stringify({ at: Date.now(), values })); } catch { /* full or forbidden */ }
}

export function forget() {
  try { localStorage.removeItem(name()); } catch { /* nothing to forget */ }
}

export function forgetSent() {
  const address = new URL(window.location.href);
  const done = address.searchParams.get("done");
  if (done === null) return;
  if (read()?.request_key === done) forget();
  address.searchParams.delete("done");
  history.replaceState(history.state, "", address);
}
