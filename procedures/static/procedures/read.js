// Marks the step that is being read in the list of steps.

const links = new Map([...document.querySelectorAll(".reading-steps a")].map((link) => [link.hash.slice(1), link]));
const seen = new Set();

const watcher = new IntersectionObserver((entries) => {
  for (const entry of entries) entry.isIntersecting ? seen.add(entry.target.id) : seen.delete(entry.target.id);
  const first = [...links.keys()].find((id) => seen.has(id));
  for (const [id, link] of links) id === first ? link.setAttribute("aria-current", "location") : link.removeAttribute("aria-current");
}, { rootMargin: "-60px 0px -55% 0px" });

document.querySelectorAll(".procedure-step").forEach((step) => watcher.observe(step));
