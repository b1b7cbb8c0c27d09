// Elements. Text from the data becomes text nodes and attributes, never HTML.

/** Makes an element; `properties` are attributes, or listeners where the name begins with "on". */
function el(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

/** A table of rows under its columns' names, each a text or a list of nodes. */
function dataTable(names, rows) {
  const header = el("tr", {}, ...names.map((name) => el("th", { scope: "col" }, ...[name].flat())));
  return el("table", {}, el("thead", {}, header), el("tbody", {}, ...rows));
}

/** The data of a block of the page. */
function readBlock(id) {
  const block = document.getElementById(id);
  return block && JSON.parse(block.textContent);
}

/** Says something to screen readers. */
function announce(text) {
  document.getElementById("status").textContent = text;
}

/** Calls `work` once before the next picture, however often it is asked. */
function oncePerFrame(work) {
  let asked = false;
  return () => {
    if (asked) return;
    asked = true;
    requestAnimationFrame(() => {
      asked = false;
      work();
    });
  };
}

/** Sizes a canvas to its place on the screen; returns its context, in CSS pixels. */
function fitCanvas(canvas, width, height) {
  const ratio = window.devicePixelRatio || 1;
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(height * ratio);
  const context = canvas.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  return context;
}

const wantsStillness = matchMedia("(prefers-reduced-motion: reduce)");
const isDark = matchMedia("(prefers-color-scheme: dark)");

/** The value of a custom property of the style sheet. */
const styleValue = (name) =>
  getComputedStyle(document.documentElement).getPropertyValue(name).trim();

const plural = (count, noun) => `${count.toLocaleString("en")} ${noun}${count === 1 ? "" : "s"}`;
