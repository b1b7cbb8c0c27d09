// The model card: headings, paragraphs, tables, `code` and escapes; all else is shown as it is.

const markdown = (() => {
  /** Text with `code` and escapes such as \* as nodes. */
  function inline(text) {
    const nodes = [];
    let plain = "";
    for (const [all, escaped, code] of text.matchAll(/\\([!-/:-@[-`{-~])|`([^`]+)`|[^]/gu)) {
      if (code === undefined) {
        plain += escaped ?? all;
        continue;
      }
      nodes.push(plain, el("code", {}, code));
      plain = "";
    }
    return [...nodes, plain];
  }

  /** The cells of a line of a table; `\|` is no border. */
  const cells = (line) =>
    line
      .trim()
      .replace(/^\||\|$/g, "")
      .split(/(?<!\\)\|/)
      .map((cell) => cell.trim());

  function table(lines) {
    const [header, , ...rows] = lines.map(cells);
    const row = (line) => el("tr", {}, ...line.map((cell) => el("td", {}, ...inline(cell))));
    return el(
      "div",
      { class: "scroll", tabindex: "0", role: "region", "aria-label": header.join(", ") },
      dataTable(header.map(inline), rows.map(row)),
    );
  }

  function block(text) {
    const heading = /^(#{1,5}) (.*)$/.exec(text);
    if (heading) return el(`h${heading[1].length + 1}`, {}, ...inline(heading[2]));
    const lines = text.split("\n");
    if (lines.length > 1 && lines.every((line) => line.startsWith("|"))) return table(lines);
    return el("p", {}, ...inline(lines.join(" ")));
  }

  const parts = (text) => text.split(/\n{2,}/).map((part) => part.trim()).filter(Boolean);
  return { render: (text) => parts(text).map(block) };
})();

/** The page of the version's card. */
function cardView() {
  const element = el(
    "article",
    { class: "page card" },
    el("h1", { class: "visually-hidden", tabindex: "-1" }, "Model card"),
    ...markdown.render(readBlock("card")),
  );
  return { element, title: "Model card" };
}
