// Ctrl K (or Cmd K): go to a page, do something, or find anything, without leaving the keyboard.
import { Results, Suggester } from "./results.js";

export function startPalette(data) {
  const dialog = document.getElementById("palette");
  if (!dialog) return;
  const input = dialog.querySelector("input");
  const results = new Results(input, document.getElementById("palette-results"), data.texts);
  const suggester = new Suggester();

  const own = (q) => [
    { label: data.texts.actions, icon: "bolt", hits: fitting(data.actions, q) },
    { label: data.texts.goto, icon: "arrow-right", hits: fitting(data.nav, q) },
  ];
  const refresh = () => {
    const q = input.value.trim();
    results.show(own(q));
    if (q.length === 1) { suggester.stop(); return; }
    suggester.ask(q, (groups) => {
      if (dialog.open && input.value.trim() === q) results.show([...own(q), ...groups]);
    });
  };
  const open = () => {
    if (dialog.open) return;
    input.value = "";
    dialog.showModal();
    refresh();
  };

  input.addEventListener("input", refresh);
  input.addEventListener("keydown", (event) => {
    if (event.key === "ArrowDown") results.move(1);
    else if (event.key === "ArrowUp") results.move(-1);
    else if (event.key === "Enter" && !event.isComposing) results.chosen?.click();
    else return;
    event.preventDefault();
  });
  dialog.addEventListener("click", (event) => {
    if (event.target === dialog) dialog.close();
  });
  dialog.addEventListener("close", () => suggester.stop());
  document.querySelectorAll("[data-open-palette]").forEach((button) => button.addEventListener("click", open));
  document.addEventListener("keydown", (event) => {
    if (event.key.toLowerCase() !== "k" || !(event.ctrlKey || event.metaKey) || event.altKey || event.shiftKey) return;
    if (event.target.closest?.(".xterm")) return; // in a terminal, Ctrl K belongs to the shell
    event.preventDefault();
    open();
  });
}

function fitting(entries, q) {
  const words = fold(q).split(" ").filter(Boolean);
  const found = entries.filter((entry) => words.every((word) => fold(entry.label).includes(word)));
  return found.map((entry) => ({ title: entry.label, url: entry.href, icon: entry.icon }));
}

function fold(text) {
  return text.normalize("NFD").replace(/\p{Diacritic}/gu, "").toLowerCase();
}
