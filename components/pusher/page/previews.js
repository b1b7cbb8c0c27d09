// Previews: strips of square frames, parsed by chunks when one of their clips is looked at.

const previews = (() => {
  const kept = new Map(); // chunks, those used last at the end
  const most = 24; // chunks that are kept parsed
  let whole = document.readyState !== "loading"; // chunks come last in the page
  const waiting = new Map();
  document.addEventListener("DOMContentLoaded", () => {
    whole = true;
    for (const [element, clip] of waiting) if (element.isConnected) paint(element, clip);
    waiting.clear();
  });

  /** The strip of a clip in base64; 0 if it has none, undefined if the page is not read so far. */
  function strip(clip) {
    const number = Math.floor(clip / about.clips_per_chunk);
    let chunk = kept.get(number);
    if (chunk) kept.delete(number);
    else if (whole) chunk = readBlock(`previews-${number}`);
    if (!chunk) return undefined;
    kept.set(number, chunk);
    if (kept.size > most) kept.delete(kept.keys().next().value);
    return chunk[clip % about.clips_per_chunk];
  }

  /** Frames of a strip, by the size in its header (RFC 9649, section 2.5; RFC 6386, 9.1). */
  function countFrames(base64) {
    const header = atob(base64.slice(0, 40));
    const number = (at) => (header.charCodeAt(at) | (header.charCodeAt(at + 1) << 8)) & 0x3fff;
    return Math.max(1, Math.round(number(26) / number(28)));
  }

  function paint(element, clip) {
    const found = strip(clip);
    if (found === undefined) {
      waiting.set(element, clip);
      return;
    }
    element.classList.toggle("strip-missing", !found);
    if (!found) return;
    element.style.setProperty("--frames", countFrames(found));
    element.style.backgroundImage = `url("data:image/webp;base64,${found}")`;
  }

  return {
    /** A clip's preview; the style sheet says when it plays. */
    element(clip, className = "") {
      const element = el("span", { class: `strip ${className}`, "aria-hidden": "true" });
      paint(element, clip);
      return element;
    },
  };
})();
