// Which classes the nearest neighbor is of: a matrix to point at, and its largest errors.

const mostLabels = 25; // more rows are too narrow for names
const smallestCell = 28; // in pixels, with room for its number

/** Counts by [class of the clip, class of its nearest neighbor]. */
function countNearest() {
  const n = library.classNames.length;
  const counts = Array.from({ length: n }, () => new Array(n).fill(0));
  for (let clip = 0; clip < library.count; clip += 1) {
    const [first] = library.neighbors(clip);
    if (first) counts[library.classOf(clip)][library.classOf(first.clip)] += 1;
  }
  return counts;
}

const sum = (values) => values.reduce((total, value) => total + value, 0);

function drawMatrix(canvas, counts, side) {
  const cell = side / counts.length;
  const context = fitCanvas(canvas, side, side);
  context.fillStyle = styleValue("--cell");
  context.fillRect(0, 0, side, side);
  context.font = `600 12px ${styleValue("--sans")}`;
  context.textAlign = "center";
  context.textBaseline = "middle";
  counts.forEach((row, own) => row.forEach((value, other) => {
    if (!value) return;
    // By the square root: a small share is to be seen, too.
    const strength = 0.12 + 0.88 * Math.sqrt(value / sum(row));
    context.globalAlpha = strength;
    context.fillStyle = styleValue(own === other ? "--accent" : "--warn");
    context.fillRect(other * cell, own * cell, Math.max(1, cell - 1), Math.max(1, cell - 1));
    context.globalAlpha = 1;
    if (cell < smallestCell) return;
    context.fillStyle = styleValue(strength > 0.6 ? "--surface" : "--ink");
    context.fillText(value, (other + 0.5) * cell, (own + 0.5) * cell);
  }));
}

/** Tells the cell that a pointer is at. */
function watchMatrix(canvas, counts, caption) {
  const tell = (event) => {
    const box = canvas.getBoundingClientRect();
    const n = counts.length;
    const at = (value, extent) => Math.min(n - 1, Math.max(0, Math.floor((value / extent) * n)));
    const own = at(event.clientY - box.top, box.height);
    const other = at(event.clientX - box.left, box.width);
    const total = plural(sum(counts[own]), "clip");
    const [name, otherName] = [own, other].map(library.classTitle);
    caption.textContent = `${name}: ${counts[own][other]} of ${total} nearest to ${otherName}`;
  };
  canvas.addEventListener("pointerdown", tell);
  canvas.addEventListener("pointermove", tell);
}

/** The matrix as an element, and what ends its work. */
function confusionMatrix(counts) {
  const canvas = el("canvas", { class: "matrix", role: "img",
    "aria-label": "Rows are classes of clips, columns those of their nearest neighbors; "
      + "the table beside it tells the largest errors" });
  const caption = el("p", { class: "hint matrix-caption" }, "Point at a cell, or tap it.");
  const resized = new ResizeObserver(([entry]) =>
    drawMatrix(canvas, counts, Math.max(1, Math.round(entry.contentRect.width))));
  resized.observe(canvas);
  watchMatrix(canvas, counts, caption);
  const labels = el("div",
    { class: "matrix-labels", hidden: counts.length > mostLabels, "aria-hidden": "true" },
    ...counts.map((_, name) => classLabel(name)));
  const element = el("div", { class: "matrix-box" }, labels, canvas, caption);
  return { element, close: () => resized.disconnect() };
}

function largestErrors(counts) {
  const found = [];
  counts.forEach((row, own) => row.forEach((value, other) => {
    if (own !== other && value) found.push([value, own, other]);
  }));
  found.sort((a, b) => b[0] - a[0]);
  if (!found.length)
    return el("p", { class: "hint" }, "Every clip's nearest neighbor is of its own class.");
  const row = ([value, own, other]) => el("tr", {},
    el("td", {}, classLink(own)),
    el("td", {}, classLink(other)),
    el("td", { class: "number" }, String(value)));
  return dataTable(["class", "nearest is", "clips"], found.slice(0, 12).map(row));
}

/** The section of the page of figures, and what ends its work. */
function confusionSection() {
  const counts = countNearest();
  const { element, close } = confusionMatrix(counts);
  return {
    close,
    element: el("section", {},
      el("h2", {}, "Classes of nearest neighbors"),
      el("p", { class: "hint" }, "Of all clips, of every split; rows are classes of clips, "
        + "columns those of their nearest neighbor."),
      el("div", { class: "two" }, element, el("div", { class: "scroll" }, largestErrors(counts)))),
  };
}
