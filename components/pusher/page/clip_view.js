// A clip: its preview at work, what is known of it, and its neighbors in order.

/** A neighbor: rank, preview, name, class, and how similar it is. */
function neighborItem(neighbor, ofClass) {
  const name = library.classOf(neighbor.clip);
  const same = name === ofClass;
  const score = neighbor.score.toFixed(3);
  const bar = el("span", { class: "score-bar", "aria-hidden": "true" });
  bar.style.setProperty("--share", Math.max(0, neighbor.score).toFixed(3));
  return el(
    "li",
    { class: same ? "neighbor same" : "neighbor other" },
    el(
      "a",
      { href: routes.clip(neighbor.clip), "data-clip": neighbor.clip },
      el("span", { class: "rank", "aria-label": `Rank ${neighbor.rank}` }, String(neighbor.rank)),
      previews.element(neighbor.clip),
      el(
        "span",
        { class: "neighbor-text" },
        el("span", { class: "tile-id" }, library.id(neighbor.clip)),
        classLabel(name),
        el(
          "span",
          { class: "score" },
          bar,
          el("span", { class: "number", "aria-label": `Similarity ${score}` }, score),
          el("span", { class: "verdict" }, same ? "same class" : "other class"),
        ),
      ),
    ),
  );
}

/** A link to this place: copied where the browser lets us, else shown selected. */
function shareButton() {
  const link = el("input",
    { class: "share-link", readonly: true, "aria-label": "Link", hidden: true });
  const button = el("button", { type: "button" }, "Copy link");
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(location.href);
      button.textContent = "Copied";
      announce("Link copied");
    } catch {
      link.hidden = false;
      link.value = location.href;
      link.focus();
      link.select();
    }
  });
  return [button, link];
}

/** Starts and stops the strip. */
function playButton(strip) {
  const button = el("button", { type: "button", class: "play" });
  const set = (playing) => {
    strip.classList.toggle("playing", playing);
    button.textContent = playing ? "Pause" : "Play";
  };
  set(!wantsStillness.matches);
  button.addEventListener("click", () => set(!strip.classList.contains("playing")));
  return button;
}

function clipFacts(clip) {
  const seconds = library.duration(clip);
  const group = library.groupOf(clip);
  const facts = [
    ["Class", classLink(library.classOf(clip))],
    ["Source video", el("a", { href: routes.clips({ q: group }) }, group)],
    ["Split", library.splitOf(clip)],
    ["Duration", seconds ? `${seconds.toFixed(1)} s` : "not known"],
  ];
  const pairs = facts.flatMap(([term, value]) => [el("dt", {}, term), el("dd", {}, value)]);
  return el("dl", { class: "facts" }, ...pairs);
}

/** The neighbors of a clip as a list, in which arrow keys go from one to the next. */
function neighborList(neighbors, ofClass) {
  const list = el("ol", { class: "neighbors", role: "list" },
    ...neighbors.map((neighbor) => neighborItem(neighbor, ofClass)));
  list.addEventListener("keydown", (event) => {
    const step = { ArrowDown: 1, ArrowRight: 1, ArrowUp: -1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    const links = [...list.querySelectorAll("a")];
    links[links.indexOf(document.activeElement) + step]?.focus();
  });
  return list;
}

function recommendations(clip) {
  const name = library.classOf(clip);
  const neighbors = library.neighbors(clip);
  const same = neighbors.filter((neighbor) => library.classOf(neighbor.clip) === name).length;
  return el("div", {},
    el("h2", {}, "Recommendations"),
    el("p", { class: "hint" }, neighbors.length
      ? `${plural(neighbors.length, "nearest clip")}, best first; ${same} of the same class.`
      : "No clip of this version is near enough to be recommended."),
    neighborList(neighbors, name));
}

function missingClip(id) {
  return el("section", { class: "page" },
    el("h1", { tabindex: "-1" }, "No such clip"),
    el("p", {}, `This version has no clip ${id}.`),
    el("p", {}, el("a", { href: routes.clips() }, "All clips")));
}

function clipView(id) {
  const clip = library.find(id);
  if (clip === undefined) return { title: "No such clip", element: missingClip(id) };
  const strip = previews.element(clip, "large");
  const element = el("section", { class: "page clip" },
    el("h1", { tabindex: "-1" }, id),
    el("div", { class: "clip-side" },
      strip,
      clipFacts(clip),
      el("div", { class: "buttons" }, playButton(strip),
        el("a", { class: "button", href: routes.map({ clip: id }) }, "Show on map"),
        ...shareButton())),
    recommendations(clip));
  return { element, title: id };
}
