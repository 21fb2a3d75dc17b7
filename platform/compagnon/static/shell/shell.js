// What every page does: search, palette, toasts, live parts, drafts, small helpers. Each part is a module of its own.
import { startSearch } from "./search.js";
import { startPalette } from "./palette.js";
import { startToasts } from "./toasts.js";
import { startLive } from "./live.js";
import { startDrafts } from "./drafts.js";
import { startForms } from "./forms.js";
import { startTimes } from "./times.js";

export const data = JSON.parse(document.getElementById("shell-data").textContent);

startToasts(data.texts);
startForms();
startTimes(data.locale, data.texts);
startDrafts(data.texts);
if (document.body.dataset.member) {
  startSearch(data.texts);
  startPalette(data);
  startLive(data.texts);
}
// On a phone the navigation is a strip that scrolls: the page one is on shall be seen in it.
document.querySelector(".sidenav [aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" });
document.documentElement.dataset.ready = "yes";
