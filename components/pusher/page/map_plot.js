// The map's drawing: clips as marks on a canvas, in a view that moves and grows.

const mapMargin = 28;
const maxZoom = 60;
const reachOfPointer = 14; // pixels around a mark in which it is found
const smallestOutlined = 3.5; // radius in pixels; below, outlines would hide the marks

/** Add a mark around (x, y) to a path, in the order of `looks.shapes`. */
const markOutlines = [
  (path, x, y, r) => path.arc(x, y, r, 0, 2 * Math.PI),
  (path, x, y, r) => path.rect(x - 0.88 * r, y - 0.88 * r, 1.76 * r, 1.76 * r),
  (path, x, y, r) => {
    path.moveTo(x, y - 1.2 * r); path.lineTo(x + 1.1 * r, y + 0.8 * r);
    path.lineTo(x - 1.1 * r, y + 0.8 * r); path.closePath();
  },
  (path, x, y, r) => {
    path.moveTo(x, y - 1.3 * r); path.lineTo(x + 1.3 * r, y);
    path.lineTo(x, y + 1.3 * r); path.lineTo(x - 1.3 * r, y); path.closePath();
  },
];

/** Clips by cell of a coarse net over the map, so that finding one does not try all. */
function makeNet(places) {
  const side = Math.max(1, Math.ceil(Math.sqrt(places.length / 4)));
  const cells = new Map();
  const cellOf = (value) => Math.min(side - 1, Math.max(0, Math.floor(value * side)));
  places.forEach(([x, y], clip) => {
    const key = cellOf(y) * side + cellOf(x);
    if (!cells.has(key)) cells.set(key, []);
    cells.get(key).push(clip);
  });
  return function* (x, y, radius) {
    for (let row = cellOf(y - radius); row <= cellOf(y + radius); row += 1)
      for (let column = cellOf(x - radius); column <= cellOf(x + radius); column += 1)
        yield* cells.get(row * side + column) ?? [];
  };
}

/** The clips of each class. */
function groupByClass() {
  const byClass = library.classNames.map(() => []);
  for (let clip = 0; clip < library.count; clip += 1) byClass[library.classOf(clip)].push(clip);
  return byClass;
}

/** Where to write the names of classes half of whose clips lie together: [class, x, y]. */
function placeNames(places, byClass) {
  const middle = (values) => values.sort((a, b) => a - b)[Math.floor(values.length / 2)];
  const names = [];
  byClass.forEach((clips, name) => {
    if (clips.length < 3) return;
    const own = clips.map((clip) => places[clip]);
    const x = middle(own.map((place) => place[0]));
    const y = middle(own.map((place) => place[1]));
    const spread = middle(own.map((place) => Math.hypot(place[0] - x, place[1] - y)));
    if (spread < 0.1) names.push([name, x, y - 1.5 * spread]);
  });
  return names;
}

class MapPlot {
  #canvas;
  #places = Array.from({ length: library.count }, (_, clip) => library.place(clip));
  #near = makeNet(this.#places);
  #byClass = groupByClass();
  #names = placeNames(this.#places, this.#byClass);
  #size = { width: 1, height: 1 };
  #view = { x: 0.5, y: 0.5, zoom: 1 };
  #chosen = -1; // a class; others are pale
  #marked = -1; // a clip

  /** Draws before the next picture. */
  draw = oncePerFrame(() => this.#draw());

  constructor(canvas) {
    this.#canvas = canvas;
  }

  resize(width, height) {
    this.#size = { width, height };
    this.draw();
  }

  /** Shows a class alone in its color; -1 for all. */
  choose(name) {
    this.#chosen = name;
    this.draw();
  }

  /** Puts a ring around a clip; -1 for none. */
  mark(clip) {
    this.#marked = clip;
    this.draw();
  }

  center(clip, zoom) {
    const [x, y] = this.#places[clip];
    this.#view = { x, y, zoom };
    this.draw();
  }

  reset() {
    this.#view = { x: 0.5, y: 0.5, zoom: 1 };
    this.draw();
  }

  pan(dx, dy) {
    const inside = (value) => Math.min(1, Math.max(0, value));
    this.#view.x = inside(this.#view.x - dx / this.#scale());
    this.#view.y = inside(this.#view.y - dy / this.#scale());
    this.draw();
  }

  /** Zooms so that what is at (x, y) on the screen stays there. */
  zoomAt(factor, x = this.#size.width / 2, y = this.#size.height / 2) {
    const [mapX, mapY] = this.#toMap(x, y);
    this.#view.zoom = Math.min(maxZoom, Math.max(1, this.#view.zoom * factor));
    const [newX, newY] = this.#toMap(x, y);
    this.pan((newX - mapX) * this.#scale(), (newY - mapY) * this.#scale());
  }

  /** The clip that is nearest to a point of the screen; -1 for none within `radius` pixels. */
  find(x, y, radius = reachOfPointer) {
    const [mapX, mapY] = this.#toMap(x, y);
    let [best, least] = [-1, radius];
    for (const clip of this.#near(mapX, mapY, radius / this.#scale())) {
      if (this.#chosen >= 0 && library.classOf(clip) !== this.#chosen) continue;
      const [atX, atY] = this.toScreen(clip);
      const distance = Math.hypot(atX - x, atY - y);
      if (distance < least) [best, least] = [clip, distance];
    }
    return best;
  }

  /** The clip that is nearest to the middle of the screen. */
  findMiddle() {
    return this.find(this.#size.width / 2, this.#size.height / 2, 400);
  }

  /** Where a clip is on the screen. */
  toScreen(clip) {
    return this.#project(this.#places[clip]);
  }

  #scale() {
    return (Math.min(this.#size.width, this.#size.height) - 2 * mapMargin) * this.#view.zoom;
  }

  #project([x, y]) {
    const { width, height } = this.#size;
    const scale = this.#scale();
    return [width / 2 + (x - this.#view.x) * scale, height / 2 + (y - this.#view.y) * scale];
  }

  #toMap(x, y) {
    const { width, height } = this.#size;
    const scale = this.#scale();
    return [this.#view.x + (x - width / 2) / scale, this.#view.y + (y - height / 2) / scale];
  }

  /** Of a mark, in pixels: smaller where many are in sight, growing as one comes nearer. */
  #radius() {
    const crowd = Math.min(1, 40 / Math.sqrt(library.count));
    return Math.min(7, (2 + 2.2 * crowd) * Math.sqrt(this.#view.zoom));
  }

  #draw() {
    if (!this.#canvas.isConnected) return;
    const context = fitCanvas(this.#canvas, this.#size.width, this.#size.height);
    const order = library.classNames.map((_, name) => name);
    if (this.#chosen >= 0) order.push(...order.splice(this.#chosen, 1)); // on top of the others
    for (const name of order) this.#drawClass(context, name);
    this.#drawNames(context);
    if (this.#marked >= 0) this.#drawRing(context);
  }

  /** One mark after the other, so that in a crowd those on top stay whole. */
  #drawClass(context, name) {
    const outline = markOutlines[looks.shape(name)];
    const radius = this.#radius();
    const { width, height } = this.#size;
    const isPale = this.#chosen >= 0 && name !== this.#chosen;
    context.globalAlpha = 0.8;
    context.fillStyle = isPale ? styleValue("--pale") : looks.color(name);
    context.lineWidth = 0.7;
    context.strokeStyle = styleValue("--surface");
    for (const clip of this.#byClass[name]) {
      const [x, y] = this.toScreen(clip);
      if (x < -9 || y < -9 || x > width + 9 || y > height + 9) continue;
      context.beginPath();
      outline(context, x, y, radius);
      context.fill();
      if (radius >= smallestOutlined) context.stroke();
    }
    context.globalAlpha = 1;
  }

  /** Writes names of classes as far as there is room; more of them as one comes nearer. */
  #drawNames(context) {
    context.font = `600 12px ${styleValue("--sans")}`;
    context.textAlign = "center";
    context.textBaseline = "middle";
    context.lineWidth = 3.5;
    context.lineJoin = "round";
    context.strokeStyle = styleValue("--surface");
    context.fillStyle = styleValue("--ink");
    const taken = [];
    for (const [name, x, y] of this.#names) {
      if (this.#chosen >= 0 && name !== this.#chosen) continue;
      const text = library.classTitle(name);
      const [left, edge] = this.#project([x, y]);
      const top = edge - 10; // above the class's own marks
      const half = context.measureText(text).width / 2 + 4;
      const box = [left - half, top - 9, left + half, top + 9];
      const overlaps = (other) =>
        box[0] < other[2] && other[0] < box[2] && box[1] < other[3] && other[1] < box[3];
      if (taken.some(overlaps)) continue;
      taken.push(box);
      context.strokeText(text, left, top);
      context.fillText(text, left, top);
    }
  }

  #drawRing(context) {
    const [x, y] = this.toScreen(this.#marked);
    context.lineWidth = 2.5;
    context.strokeStyle = styleValue("--ink");
    context.beginPath();
    context.arc(x, y, this.#radius() + 4, 0, 2 * Math.PI);
    context.stroke();
  }
}
