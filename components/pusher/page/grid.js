// A grid of clips of which only those in sight are in the document.

const gridGap = 16;
const narrowestTile = 136;
const tileCaption = 50; // below the preview, as in the style sheet
const rowsBeyond = 2; // above and below those in sight
const roomForBars = 150; // what stays above a tile that is scrolled to

/** A clip of the grid, at `position` of `count`. */
function gridCell(clip, position, count) {
  const link = el(
    "a",
    { class: "tile", href: routes.clip(clip), "data-clip": clip, title: library.id(clip) },
    previews.element(clip),
    el("span", { class: "tile-id" }, library.id(clip)),
    classLabel(library.classOf(clip)),
  );
  return el("li", { class: "cell", "aria-setsize": count, "aria-posinset": position + 1 }, link);
}

class Grid {
  #cells = new Map(); // by position
  #clips = [];
  #active = 0; // the position that Tab reaches
  #columns = 1;
  #rowHeight = 1; // with its gap
  #tileWidth = 1;
  #scrolled = oncePerFrame(() => this.#update());
  #resized = new ResizeObserver(
    oncePerFrame(() => {
      this.#measure();
      this.#update();
    }),
  );

  constructor(label) {
    this.element = el("ul", { class: "grid", "aria-label": label, role: "list" });
    this.element.addEventListener("keydown", (event) => this.#move(event));
    this.element.addEventListener("focusin", (event) => {
      const clip = Number(event.target.closest("[data-clip]").dataset.clip);
      this.#active = this.#clips.indexOf(clip);
      this.#update();
    });
    window.addEventListener("scroll", this.#scrolled, { passive: true });
    this.#resized.observe(this.element);
  }

  close() {
    window.removeEventListener("scroll", this.#scrolled);
    this.#resized.disconnect();
  }

  /** Shows these clips; the one of `activeClip`, if it is among them, is the active one. */
  show(clips, activeClip) {
    this.#clips = clips;
    this.#active = Math.max(0, clips.indexOf(activeClip));
    this.element.replaceChildren();
    this.#cells.clear();
    this.#measure();
    this.#update();
  }

  get activeClip() {
    return this.#clips[this.#active];
  }

  focusActive() {
    this.#cells.get(this.#active)?.firstChild.focus({ preventScroll: true });
  }

  /** Makes a position the active one: in sight below the bars, and in focus. */
  activate(position) {
    if (!this.#clips.length) return;
    this.#active = Math.min(Math.max(position, 0), this.#clips.length - 1);
    const above = this.element.getBoundingClientRect().top + window.scrollY;
    const top = above + Math.floor(this.#active / this.#columns) * this.#rowHeight;
    const bottom = top + this.#rowHeight;
    if (top < window.scrollY + roomForBars) window.scrollTo(0, top - roomForBars);
    else if (bottom > window.scrollY + window.innerHeight)
      window.scrollTo(0, bottom - window.innerHeight);
    this.#update();
    this.focusActive();
  }

  #move(event) {
    const columns = this.#columns;
    const count = this.#clips.length;
    const page = Math.max(1, Math.floor(window.innerHeight / this.#rowHeight) - 1) * columns;
    const steps = {
      ArrowRight: 1, ArrowLeft: -1, ArrowDown: columns, ArrowUp: -columns,
      PageDown: page, PageUp: -page, Home: -count, End: count,
    };
    if (!(event.key in steps) || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    const to = this.#active + steps[event.key];
    // The column is kept at both ends.
    if (/^Arrow(Up|Down)$/.test(event.key) && (to < 0 || to >= count)) return;
    this.activate(to);
  }

  #measure() {
    const room = this.element.clientWidth;
    this.#columns = Math.max(2, Math.floor((room + gridGap) / (narrowestTile + gridGap)));
    this.#tileWidth = (room - gridGap * (this.#columns - 1)) / this.#columns;
    this.#rowHeight = this.#tileWidth + tileCaption + gridGap;
    const rows = Math.ceil(this.#clips.length / this.#columns);
    this.element.style.height = `${rows * this.#rowHeight}px`;
  }

  #update() {
    if (!this.element.isConnected) return;
    const top = -this.element.getBoundingClientRect().top / this.#rowHeight;
    const inSight = window.innerHeight / this.#rowHeight;
    const first = Math.max(0, Math.floor(top) - rowsBeyond) * this.#columns;
    const last = (Math.ceil(top + inSight) + rowsBeyond) * this.#columns;
    const wanted = new Set();
    for (let at = first; at < Math.min(last, this.#clips.length); at += 1) wanted.add(at);
    if (this.#clips.length) wanted.add(this.#active); // focus stays in the document
    for (const [position, cell] of this.#cells) {
      if (wanted.has(position)) continue;
      cell.remove();
      this.#cells.delete(position);
    }
    for (const position of wanted) this.#put(position);
  }

  #put(position) {
    let cell = this.#cells.get(position);
    if (!cell) {
      cell = gridCell(this.#clips[position], position, this.#clips.length);
      // In order, so that assistive technology reads them so.
      const later = [...this.#cells.keys()].filter((other) => other > position);
      this.element.insertBefore(cell, this.#cells.get(Math.min(...later)) ?? null);
      this.#cells.set(position, cell);
    }
    const x = (position % this.#columns) * (this.#tileWidth + gridGap);
    const y = Math.floor(position / this.#columns) * this.#rowHeight;
    cell.style.width = `${this.#tileWidth}px`;
    cell.style.height = `${this.#rowHeight - gridGap}px`;
    cell.style.transform = `translate(${x}px, ${y}px)`;
    cell.firstChild.tabIndex = position === this.#active ? 0 : -1;
  }
}
