// The first page: search, filters, and the clips.

/** Select elements for class and split, which call `changed` with the conditions. */
function conditionSelects(conditions, changed) {
  const select = (label, key, all, options) => {
    const onchange = () => changed({ [key]: box.value });
    const box = el("select", { "aria-label": label, onchange });
    box.append(el("option", { value: "" }, all));
    for (const [value, text] of options) box.append(el("option", { value }, text));
    box.value = conditions[key];
    return el("span", { class: "select" }, box);
  };
  const classes = library.classNames.map((name, i) => [
    `=${name}`,
    `${library.classTitle(i)} (${library.classSizes[i]})`,
  ]);
  const splits = library.splitNames.map((name) => [name, name]);
  return [
    classes.length > 1 ? select("Class", "class", "All classes", classes) : null,
    splits.length > 1 ? select("Split", "split", "All splits", splits) : null,
  ];
}

/** The search field; it calls `changed` as one types, and `leave` to go on to the clips. */
function searchField(conditions, changed, leave) {
  const input = el("input", {
    type: "search",
    id: "search",
    placeholder: "Search by id, class or source video",
    "aria-label": "Search clips",
    autocomplete: "off",
    spellcheck: "false",
    value: conditions.q,
    oninput: () => changed({ q: input.value }),
  });
  input.addEventListener("keydown", (event) => {
    if (event.key === "ArrowDown" || event.key === "Enter") {
      event.preventDefault();
      leave();
    } else if (event.key === "Escape" && input.value) {
      event.stopPropagation();
      input.value = "";
      changed({ q: "" });
    }
  });
  return input;
}

/** How many clips are shown, and what to do where there are none. */
function resultTexts() {
  const count = el("p", { class: "count" });
  const nothing = el("p", { class: "nothing", hidden: true },
    "No clip meets these conditions. ", el("a", { href: routes.clips() }, "Show all clips"));
  return {
    count,
    nothing,
    tell(found) {
      const all = plural(library.count, "clip");
      count.textContent = found === library.count ? all : `${found.toLocaleString("en")} of ${all}`;
      nothing.hidden = found > 0;
      announce(count.textContent);
    },
  };
}

/** Says how many clips have no preview, where some have one. */
function missingNote() {
  const missing = library.count - about.num_previews;
  if (!missing || !about.num_previews) return null;
  return el("p", { class: "note" },
    `${plural(missing, "clip")} without a preview: the page would be too large with all.`);
}

function clipsView(parameters, state) {
  const conditions = {
    q: parameters.get("q") ?? "",
    class: parameters.get("class") ?? "",
    split: parameters.get("split") ?? "",
  };
  const grid = new Grid("Clips");
  const texts = resultTexts();
  const apply = (activeClip) => {
    const found = library.search(conditions);
    grid.show(found, activeClip);
    texts.tell(found.length);
  };
  const change = (changes) => {
    Object.assign(conditions, changes);
    history.replaceState(history.state, "", routes.clips(conditions));
    window.scrollTo(0, 0);
    apply();
  };
  const element = el("section", { class: "page" },
    el("h1", { class: "visually-hidden", tabindex: "-1" }, "Clips"),
    el("div", { class: "tools", role: "search" },
      el("div", { class: "search-box" }, searchField(conditions, change, () => grid.activate(0))),
      ...conditionSelects(conditions, change),
      texts.count),
    missingNote(), texts.nothing, grid.element);
  return {
    element,
    title: "Clips",
    shown() {
      apply(state?.active);
      if (state?.active !== undefined) grid.focusActive();
    },
    state: () => ({ active: grid.activeClip }),
    close: () => grid.close(),
  };
}
