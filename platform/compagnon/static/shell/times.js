// <time data-relative datetime="…">: "3 minutes ago" stays true while the page is open.

const STEPS = [["year", 31_536_000], ["month", 2_592_000], ["week", 604_800], ["day", 86_400], ["hour", 3600], ["minute", 60]];

export function startTimes(locale, texts) {
  const format = new Intl.RelativeTimeFormat(locale, { numeric: "always" });
  const update = () => {
    for (const time of document.querySelectorAll("time[data-relative]")) time.textContent = say(time.dateTime, format, texts);
  };
  setInterval(() => { if (!document.hidden) update(); }, 30_000);
  document.addEventListener("visibilitychange", () => { if (!document.hidden) update(); });
}

function say(moment, format, texts) {
  const seconds = (new Date(moment).getTime() - Date.now()) / 1000;
  if (Math.abs(seconds) < 45) return texts.now;
  const [unit, size] = STEPS.find(([, length]) => Math.abs(seconds) >= length * 1.2) ?? STEPS.at(-1);
  return format.format(Math.trunc(seconds / size) || Math.sign(seconds), unit);
}
