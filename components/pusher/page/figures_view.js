// The page of figures: how good this version is, by class, and the pictures of its evaluation.

/** A figure with its interval on a line from 0 to 1. */
function metricTile(name, value, interval) {
  const line = el("span", { class: "interval", "aria-hidden": "true" },
    el("span", { class: "interval-range" }), el("span", { class: "interval-value" }));
  const [low, high] = interval ?? [value, value];
  line.style.setProperty("--low", low);
  line.style.setProperty("--high", high);
  line.style.setProperty("--value", value);
  const level = Math.round((about.metrics.intervals?.level ?? 0.95) * 100);
  const range = interval ? `${level} %: ${low.toFixed(3)} to ${high.toFixed(3)}` : "no interval";
  return el("div", { class: "metric" },
    el("dt", {}, name),
    el("dd", {}, el("span", { class: "metric-value" }, value.toFixed(3)), line,
      el("span", { class: "hint" }, range)));
}

function metricTiles() {
  const { accuracy, recall = {}, map_at_10: map, intervals = {} } = about.metrics;
  const version = about.metrics.accuracy_version; // of a refresh: which version measured it
  const name = version ? `Accuracy, by version ${version}` : "Accuracy";
  const tiles = Object.entries(recall).map(([k, value]) =>
    [`Recall@${k}`, value, intervals.recall?.[k]]);
  tiles.push(["mAP@10", map, intervals.map_at_10], [name, accuracy, intervals.accuracy]);
  const known = tiles.filter(([, value]) => Number.isFinite(value));
  return el("dl", { class: "metrics" }, ...known.map((tile) => metricTile(...tile)));
}

/** A share as a bar with its number. */
function shareCell(value) {
  if (!Number.isFinite(value)) return el("td", { class: "number" }, "\u2013");
  const bar = el("span", { class: "score-bar", "aria-hidden": "true" });
  bar.style.setProperty("--share", value.toFixed(3));
  const number = el("span", { class: "number" }, value.toFixed(3));
  return el("td", {}, el("span", { class: "score" }, bar, number));
}

function classTable() {
  const { accuracy_per_class: accuracy, recall_at_1_per_class: recall } = about.metrics;
  const series = [["recall@1", recall], ["accuracy", accuracy]].filter(([, values]) => values);
  if (!series.length) return null;
  const worst = (name) => series[0][1][library.classNames[name]] ?? 2; // above every share
  const order = library.classNames.map((_, name) => name).sort((a, b) => worst(a) - worst(b));
  const row = (name) => el("tr", {},
    el("td", {}, classLink(name)),
    el("td", { class: "number" }, String(library.classSizes[name])),
    ...series.map(([, values]) => shareCell(values[library.classNames[name]])));
  return el("section", {},
    el("h2", {}, "By class"),
    el("p", { class: "hint" }, "The least found first."),
    el("div",
      { class: "scroll tall", tabindex: "0", role: "region", "aria-label": "Figures by class" },
      dataTable(["class", "clips", ...series.map(([title]) => title)], order.map(row))));
}

function plotSection() {
  const plots = Object.entries(readBlock("plots"));
  if (!plots.length) return null;
  return el("section", {},
    el("h2", {}, "Plots of the evaluation"),
    el("div", { class: "plots" }, ...plots.map(([name, source]) =>
      el("figure", {}, el("img", { src: source, alt: name }), el("figcaption", {}, name)))));
}

function figuresView() {
  const { num_queries: queries, num_gallery: gallery } = about.metrics;
  const matrix = confusionSection();
  const among = `${plural(gallery ?? 0, "clip")} of other source videos`;
  const asked = queries ? ` ${plural(queries, "test clip")} asked among ${among}.` : "";
  const element = el("section", { class: "page figures" },
    el("h1", { tabindex: "-1" }, "Figures"),
    el("p", { class: "hint" }, `Measured on the test split.${asked}`),
    metricTiles(), classTable(), matrix.element, plotSection());
  return { element, title: "Figures", close: matrix.close };
}
