// The page of a tunnel: the connections as they come and go, and the command to copy.

import "./call_session.js";

document.addEventListener("session:note", ({ detail: note }) => {
  if (note.type === "tunnel") document.dispatchEvent(new Event("tunnel-moved"));
});

document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  const source = button && document.getElementById(button.dataset.copy);
  if (!source) return;
  try {
    await navigator.clipboard.writeText(source.textContent);
  } catch {
    getSelection().selectAllChildren(source); // no right to the clipboard: it is ready for Ctrl-C
    return;
  }
  button.firstElementChild.className = "ti ti-check";
});
