"use strict";
// The page as a whole: loads the data, shows messages, opens clips by the fragment of the address.

window.report = (() => {
  const byId = (id) => document.getElementById(id);
  const waiting = new Map();  // id of a clip -> what to do with its frames
  let contents = null, scrolled = 0, clipOpen = false, opener = null, mixed = "";

  // Scripts load from the disk, where browsers refuse to fetch files.
  function load(path, failed) {
    const script = document.createElement("script");
    script.src = path;
    script.onerror = failed;
    script.onload = () => script.remove();
    document.head.append(script);
    return script;
  }

  function tell(text) {
    byId("message").textContent = text;
    byId("message").hidden = !text;
  }

  // called by data.js
  function data(value) {
    contents = value;
    contents.byId = new Map(value.clips.map((clip, index) => [clip.id, index]));
    if (value.run !== document.documentElement.dataset.run)
      tell(mixed = "This page is mixed: index.html and data.js are from different runs, so clips may not match the " +
        "tables. Make the page again (dvc repro report), and copy its whole folder.");
    route();
  }

  // called by the script of a clip
  function clip(frames) {
    const receive = waiting.get(frames.id);
    waiting.delete(frames.id);
    if (receive) receive(frames);
  }

  // Frames of a clip, or null if its script is missing or broken.
  function frames(id, path) {
    return new Promise((resolve) => {
      waiting.set(id, resolve);
      const script = load(path, () => resolve(null));
      script.addEventListener("load", () => resolve(null));  // too late if it has called `clip`
    });
  }

  function address() {
    const fragment = new URLSearchParams(location.hash.slice(1));
    if (!fragment.has("clip")) return null;
    const time = parseFloat(fragment.get("t"));
    return {clip: fragment.get("clip"), time: Number.isFinite(time) ? time : null};
  }

  function fragment(id, time) {
    return `#clip=${encodeURIComponent(id)}` + (time === undefined ? "" : `&t=${+time.toFixed(3)}`);
  }

  // Keeps the moment in the address, so that it can be passed on, without a new entry for the back button.
  function remember(id, time) {
    try {
      history.replaceState(history.state, "", fragment(id, time));
    } catch { /* some browsers refuse it for files */ }
  }

  function route() {
    const wanted = address();
    if (wanted && !contents) return;  // comes again when the data are there
    const index = wanted ? contents.byId.get(wanted.clip) : undefined;
    if (wanted && index === undefined)
      tell(`${mixed} This page has no clip “${wanted.clip}”. The list below has those that it has.`.trim());
    else if (contents) tell(mixed);
    if (index === undefined) return close();
    if (!clipOpen) [scrolled, opener] = [window.scrollY, document.activeElement];
    clipOpen = true;
    document.body.classList.add("viewing");
    byId("viewer").hidden = false;
    viewer.open(contents, index, wanted.time);
  }

  function close() {
    if (!clipOpen) return;
    clipOpen = false;
    viewer.close();
    byId("viewer").hidden = true;
    document.body.classList.remove("viewing");
    opener.focus({preventScroll: true});
    const target = location.hash.length > 1 && byId(location.hash.slice(1));
    if (target) target.scrollIntoView();
    else window.scrollTo(0, scrolled);
  }

  function start() {
    list.start();
    window.addEventListener("hashchange", route);
    window.addEventListener("beforeprint", () => {
      for (const item of document.querySelectorAll("details:not([open])")) {
        item.open = true;
        item.dataset.closed = "";
      }
    });
    window.addEventListener("afterprint", () => {
      for (const item of document.querySelectorAll("details[data-closed]")) {
        item.open = false;
        delete item.dataset.closed;
      }
    });
    // pictures load as they come into view, and the rest when all else is done, so that it is there for printing
    window.addEventListener("load", () => setTimeout(() => {
      for (const picture of document.querySelectorAll("img[loading]")) picture.loading = "eager";
    }, 1000));
    const missing = () => {
      if (!contents) tell("The clips cannot be opened: the file data.js is missing beside this page, or broken. Copy " +
        "the whole folder of the page, or make it again (dvc repro report).");
    };
    load("data.js", missing).addEventListener("load", missing);
  }

  return {byId, clip, data, fragment, frames, remember, start};
})();

// Text for people, as in the rest of the page.
const wording = {
  number(value) {
    if (value === null || !Number.isFinite(value)) return "–";
    const rounded = Number(value.toPrecision(3));
    if (rounded === 0) return "0";
    const decimals = Math.max(0, 2 - Math.floor(Math.log10(Math.abs(rounded)) + 1e-12));
    return value.toLocaleString("en", {minimumFractionDigits: decimals, maximumFractionDigits: decimals});
  },
  count: (value) => value.toLocaleString("en"),
  // m:ss, or h:mm:ss; with decimals of the second
  time(seconds, decimals = 1) {
    const scale = 10 ** decimals, units = Math.round(Math.max(0, seconds) * scale);
    const whole = Math.floor(units / scale), hours = Math.floor(whole / 3600), minutes = Math.floor(whole / 60) % 60;
    const two = (n) => String(n).padStart(2, "0");
    const begin = hours ? `${hours}:${two(minutes)}` : `${minutes}`;
    const rest = decimals ? `.${String(units % scale).padStart(decimals, "0")}` : "";
    return `${begin}:${two(whole % 60)}${rest}`;
  },
  shares(shares) {
    return Object.entries(shares).filter(([, share]) => share >= 0.01)
      .map(([name, share]) => `${name} ${Math.round(100 * share)}\u00a0%`).join(", ");
  },
};

// Makes an element; its text is never taken for markup.
function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (typeof value === "function") made.addEventListener(key, value);
    else if (value !== null) made.setAttribute(key, value);
  }
  made.append(...children);
  return made;
}

function drawing(name, attributes = {}, text = "") {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text) made.textContent = text;
  return made;
}
