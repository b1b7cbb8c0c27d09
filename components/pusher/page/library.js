// The library: clips are numbers from 0, in the order of the page.

const about = readBlock("about");

const library = (() => {
  const columns = readBlock("library");
  const { ids, durations, classes, groups, splits } = columns;
  const indexOf = new Map(ids.map((id, clip) => [id, clip]));
  const nameOf = (column, clip) => column.names[column.of_clip[clip]];
  const texts = ids.map((id, clip) =>
    [id, nameOf(classes, clip), nameOf(groups, clip)].join(" ").toLowerCase());
  const sizes = new Array(classes.names.length).fill(0);
  for (const name of classes.of_clip) sizes[name] += 1;
  let table = null;

  return {
    count: ids.length,
    classNames: classes.names,
    splitNames: splits.names,
    classSizes: sizes,
    classTitle: (name) => classes.names[name] || "(no class)",
    id: (clip) => ids[clip],
    classOf: (clip) => classes.of_clip[clip],
    groupOf: (clip) => nameOf(groups, clip),
    splitOf: (clip) => nameOf(splits, clip),
    duration: (clip) => durations[clip],
    find: (id) => indexOf.get(id),
    /** A place on the map, both coordinates in [0, 1]; the map grows upwards. */
    place: (clip) => [columns.x[clip] / columns.map_steps, 1 - columns.y[clip] / columns.map_steps],

    /** A clip's neighbors, best first. */
    neighbors(clip) {
      table ??= readBlock("neighbors");
      return table.neighbors[clip].map((neighbor, rank) => ({
        clip: neighbor,
        rank: rank + 1,
        score: table.scores[clip][rank] / table.score_steps,
      }));
    },

    /** The clips that have every word, the class and the split; empty conditions always hold. */
    search(conditions) {
      const words = conditions.q.toLowerCase().split(/\s+/).filter(Boolean);
      const name = classes.names.indexOf(conditions.class.slice(1)); // behind the "="
      const split = splits.names.indexOf(conditions.split);
      const meets = (clip) =>
        (conditions.class === "" || classes.of_clip[clip] === name) &&
        (conditions.split === "" || splits.of_clip[clip] === split) &&
        words.every((word) => texts[clip].includes(word));
      return [...ids.keys()].filter(meets);
    },
  };
})();

/** Looks of classes: a color and a shape, as color alone would not do for all eyes. */
const looks = (() => {
  // Okabe and Ito, Color universal design, 2008: [on white, on black].
  const few = [
    ["#0072b2", "#4aa8e0"], ["#d88c00", "#e69f00"], ["#009e73", "#1fbf92"], ["#c25a97", "#d98bb8"],
    ["#3f9fd6", "#8fd0f5"], ["#d55e00", "#f07f35"], ["#8c6d00", "#d6c25a"], ["#333333", "#e8e8e8"],
  ];
  const levels = [[0.55, 0.74], [0.66, 0.83], [0.45, 0.64]];
  const isFew = library.classNames.length <= few.length;
  return {
    shapes: ["circle", "square", "triangle", "diamond"],
    /** The same for a class whenever the library has the same classes. */
    color(name) {
      const scheme = isDark.matches ? 1 : 0;
      if (isFew) return few[name][scheme];
      // Steps of the golden angle: hues that are near come of classes that are far apart.
      return `oklch(${levels[name % 3][scheme]} 0.15 ${((name * 137.508) % 360).toFixed(1)})`;
    },
    shape: (name) => (isFew ? 0 : name % 4),
  };
})();

/** A small mark in the look of a class. */
function classMark(name) {
  const mark = el("span", {
    class: `mark mark-${looks.shapes[looks.shape(name)]}`,
    "aria-hidden": "true",
  });
  mark.style.setProperty("--color", looks.color(name));
  return mark;
}

/** A class's name with its mark. */
const classLabel = (name) =>
  el("span", { class: "class-label" }, classMark(name), el("span", {}, library.classTitle(name)));

const routes = {
  clip: (clip) => `#/clip/${encodeURIComponent(library.id(clip))}`,
  /** Classes are written with a leading "=": an empty name is a class, too. */
  clips: (conditions = {}) => routes.withConditions("#/clips", conditions),
  map: (conditions = {}) => routes.withConditions("#/map", conditions),
  withConditions(page, conditions) {
    const given = Object.entries(conditions).filter(([, value]) => value !== "");
    return page + (given.length ? `?${new URLSearchParams(given)}` : "");
  },
};

/** A class's name, which leads to its clips. */
const classLink = (name) =>
  el("a", { href: routes.clips({ class: `=${library.classNames[name]}` }) }, classLabel(name));
