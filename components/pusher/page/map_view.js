// The map's page: pointers, keys, the legend, and what a clip is when one points at it.

/** Where a pointer's event is on a canvas. */
function placeOf(event, canvas) {
  const box = canvas.getBoundingClientRect();
  return [event.clientX - box.left, event.clientY - box.top];
}

/** Follows drags, pinches and taps on the map: `hover` is called with a clip, or with -1. */
function watchPointers(canvas, plot, { hover, open }) {
  const pointers = new Map(); // those that are down, by id
  let moved = 0;
  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    pointers.set(event.pointerId, placeOf(event, canvas));
    moved = pointers.size > 1 ? Infinity : 0;
  });
  canvas.addEventListener("pointermove", (event) => {
    const place = placeOf(event, canvas);
    const before = pointers.get(event.pointerId);
    if (!before) return hover(plot.find(...place));
    pointers.set(event.pointerId, place);
    moved += Math.hypot(place[0] - before[0], place[1] - before[1]);
    if (moved <= 4) return;
    const other = [...pointers].find(([id]) => id !== event.pointerId)?.[1];
    if (other) pinch(plot, before, place, other);
    else plot.pan(place[0] - before[0], place[1] - before[1]);
    hover(-1);
  });
  canvas.addEventListener("pointerup", (event) => {
    pointers.delete(event.pointerId);
    if (moved > 4) return;
    const touch = event.pointerType === "touch";
    open(plot.find(...placeOf(event, canvas), touch ? 24 : undefined), touch);
  });
  canvas.addEventListener("pointercancel", (event) => pointers.delete(event.pointerId));
  canvas.addEventListener("pointerleave", (event) => {
    // A finger leaves whenever it is lifted; what it pointed at stays told.
    if (event.pointerType !== "touch" && !pointers.size) hover(-1);
  });
}

/** Zooms and moves the map as one of two fingers goes from a place to the next. */
function pinch(plot, before, [x, y], [otherX, otherY]) {
  const distance = (place) => Math.hypot(place[0] - otherX, place[1] - otherY) || 1;
  plot.zoomAt(distance([x, y]) / distance(before), (x + otherX) / 2, (y + otherY) / 2);
  plot.pan((x - before[0]) / 2, (y - before[1]) / 2);
}

function watchWheel(canvas, plot, hover) {
  canvas.addEventListener("wheel", (event) => {
    event.preventDefault();
    const speed = event.deltaMode ? 0.05 : 0.0022; // by line or page, or by pixel
    plot.zoomAt(Math.exp(-event.deltaY * speed), ...placeOf(event, canvas));
    hover(-1);
  }, { passive: false });
}

/** Keys: arrows move, + and - zoom, 0 shows all, Enter opens the clip that is told. */
function watchKeys(canvas, plot, { hover, open, current }) {
  canvas.addEventListener("keydown", (event) => {
    const moves = {
      ArrowLeft: [60, 0], ArrowRight: [-60, 0], ArrowUp: [0, 60], ArrowDown: [0, -60],
    };
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key in moves) plot.pan(...moves[event.key]);
    else if (event.key === "+" || event.key === "=") plot.zoomAt(1.5);
    else if (event.key === "-") plot.zoomAt(1 / 1.5);
    else if (event.key === "0") plot.reset();
    else if (event.key === "Enter") return open(current(), false);
    else return;
    event.preventDefault();
    hover(plot.findMiddle(), true);
  });
}

/** What is shown of the clip that one points at; beside it, within the frame. */
class MapTooltip {
  element = el("div", { class: "tooltip", hidden: true });
  clip = -1;
  #frame;
  #plot;

  constructor(frame, plot) {
    this.#frame = frame;
    this.#plot = plot;
  }

  show(clip, aloud = false) {
    if (clip === this.clip && clip < 0) return;
    this.clip = clip;
    this.#plot.mark(clip);
    this.element.hidden = clip < 0;
    if (clip < 0) return;
    const name = library.classOf(clip);
    this.element.replaceChildren(
      previews.element(clip, wantsStillness.matches ? "" : "playing"),
      el("span", { class: "tile-id" }, library.id(clip)),
      classLabel(name),
    );
    this.#place();
    if (aloud) announce(`${library.id(clip)}, ${library.classTitle(name)}`);
  }

  #place() {
    const [x, y] = this.#plot.toScreen(this.clip);
    const { offsetWidth: width, offsetHeight: height } = this.element;
    const isRoom = x + 16 + width < this.#frame.clientWidth;
    const left = Math.max(8, isRoom ? x + 16 : x - 16 - width);
    const top = Math.max(8, Math.min(y + 12, this.#frame.clientHeight - height - 8));
    this.element.style.transform = `translate(${left}px, ${top}px)`;
  }
}

/** The classes with their marks, as buttons; `choose` is called with one, or with -1 for all. */
function legend(chosen, choose) {
  const buttons = library.classNames.map((_, name) =>
    el("button", { type: "button", class: "legend-item", "aria-pressed": String(name === chosen),
      onclick: () => press(name) }, classLabel(name)));
  function press(name) {
    const wasPressed = buttons[name].getAttribute("aria-pressed") === "true";
    buttons.forEach((button, other) =>
      button.setAttribute("aria-pressed", String(other === name && !wasPressed)));
    choose(wasPressed ? -1 : name);
  }
  return el("div", { class: "legend", role: "group", "aria-label": "Classes" }, ...buttons);
}

function mapButtons(plot, tooltip) {
  const button = (text, label, work) =>
    el("button", { type: "button", "aria-label": label, title: label,
      onclick: () => { tooltip.show(-1); work(); } }, text);
  return el("div", { class: "map-buttons" },
    button("+", "Zoom in", () => plot.zoomAt(1.6)),
    button("\u2212", "Zoom out", () => plot.zoomAt(1 / 1.6)),
    button("\u25a2", "Show all", () => plot.reset()));
}

/** The canvas in its frame, with its tooltip and its buttons, and what they all work on. */
function mapFrame() {
  const canvas = el("canvas", {
    tabindex: "0",
    role: "application",
    "aria-label": "Map of clips; arrow keys move, plus and minus zoom, "
      + "Enter opens the clip in the middle",
  });
  const frame = el("div", { class: "map-frame" }, canvas);
  const plot = new MapPlot(canvas);
  const tooltip = new MapTooltip(frame, plot);
  const hover = (clip, aloud) => tooltip.show(clip, aloud);
  const open = (clip, touch) => {
    // A finger points first and opens by a second tap, as there is no hovering.
    if (clip >= 0 && (!touch || clip === tooltip.clip)) go(routes.clip(clip));
    else tooltip.show(clip);
  };
  watchPointers(canvas, plot, { hover, open });
  watchWheel(canvas, plot, hover);
  watchKeys(canvas, plot, { hover, open, current: () => tooltip.clip });
  frame.append(tooltip.element, mapButtons(plot, tooltip));
  return { frame, plot, tooltip };
}

function mapView(parameters) {
  const { frame, plot, tooltip } = mapFrame();
  // Without the "=" in front; no parameter is no class.
  const chosen = library.classNames.indexOf(parameters.get("class")?.slice(1));
  const classes = legend(chosen, (name) => {
    plot.choose(name);
    const conditions = name < 0 ? {} : { class: `=${library.classNames[name]}` };
    history.replaceState(history.state, "", routes.map(conditions));
  });
  const fit = () => plot.resize(frame.clientWidth, frame.clientHeight);
  const resized = new ResizeObserver(fit);
  const method = about.method ? ` Drawn by ${about.method}.` : "";
  return {
    title: "Map",
    element: el("section", { class: "page map" },
      el("div", { class: "map-head" }, el("h1", { tabindex: "-1" }, "Map"),
        el("p", { class: "hint" }, `Clips that lie together have similar embeddings.${method}`)),
      frame, classes),
    shown() {
      fit();
      resized.observe(frame);
      plot.choose(chosen);
      const clip = library.find(parameters.get("clip"));
      if (clip === undefined) return;
      plot.center(clip, 4);
      tooltip.show(clip, true);
    },
    close: () => resized.disconnect(),
  };
}
