// Routes: the part of the address behind "#" says what is shown, so that back, forward and shared
// links work without a server.

const main = document.getElementById("content");
history.scrollRestoration = "manual";
let view = null;
let depth = -1; // pages that were opened from within, before this one

function makeView(hash) {
  const [path, query = ""] = hash.replace(/^#/, "").split("?");
  const parameters = new URLSearchParams(query);
  if (path.startsWith("/clip/")) {
    let id = path.slice("/clip/".length);
    try {
      id = decodeURIComponent(id);
    } catch {
      // A damaged link names no clip.
    }
    return clipView(id);
  }
  const views = { "/map": mapView, "/figures": figuresView, "/card": cardView };
  return (views[path] ?? clipsView)(parameters, history.state);
}

/** Keeps in the history where one was on the page that is left. */
function remember() {
  history.replaceState({ depth, scroll: window.scrollY, ...view?.state?.() }, "");
}

/** Opens a page as a link to it does. */
function go(hash) {
  remember();
  location.hash = hash;
}

function show() {
  const isFirst = view === null;
  view?.close?.();
  // An entry of the history without a state is new.
  if (history.state?.depth === undefined) history.replaceState({ depth: depth + 1 }, "");
  depth = history.state.depth;
  view = makeView(location.hash);
  document.title = `${view.title} \u00b7 Clip gallery, version ${about.version}`;
  main.replaceChildren(view.element);
  const [page] = location.hash.split("?");
  for (const link of document.querySelectorAll(".bar nav a")) {
    // All that is not one of the other pages has to do with clips.
    const isElsewhere = /^#\/(map|figures|card)/.test(page);
    const current = link.hash === (isElsewhere ? page : "#/clips");
    if (current) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  window.scrollTo(0, 0);
  // The heading first, so that screen readers tell what came; a view may move on to a clip.
  if (!isFirst) main.querySelector("h1")?.focus({ preventScroll: true });
  view.shown?.();
  window.scrollTo(0, history.state?.scroll ?? 0);
}

document.addEventListener("click", (event) => {
  if (event.target.closest("a[href^='#/']")) remember();
}, { capture: true });

document.addEventListener("keydown", (event) => {
  const typing = event.target.matches("input, select, textarea");
  if (event.key === "/" && !typing) {
    const input = document.getElementById("search");
    if (input) {
      event.preventDefault();
      input.focus();
    }
  } else if (event.key === "Escape" && !event.defaultPrevented) {
    if (typing && event.target.id === "search") event.target.blur();
    else if (depth > 0) history.back();
    else if (!/^#\/clips|^$/.test(location.hash)) go("#/clips");
  }
});

document.getElementById("skip").addEventListener("click", (event) => {
  event.preventDefault();
  main.focus();
});
const version = document.getElementById("version");
version.textContent = `Version ${about.version} \u00b7 ${about.created.slice(0, 10)}`;
version.title = `Published ${about.created}; model ${about.model_id}`;
window.addEventListener("popstate", show);
isDark.addEventListener("change", () => {
  remember();
  show(); // marks have their colors set
});
show();
