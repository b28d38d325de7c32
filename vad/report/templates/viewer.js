// The viewer of a clip: video, curve, and what is known of the frame that is shown.

const viewer = (() => {
  const byId = report.byId;
  const TITLE = document.title;
  const UNNAMED = "camera";  // the camera of footage that names none
  const ROUNDING = 6e-4;  // seconds
  const FIELDS = "input, select, textarea, [contenteditable]";
  let contents = null, clip = null, frames = null, index = 0, opened = 0, said = "", timer = 0;
  let player = null, curve = null, row = null;  // row: of the event that is shown

  function start() {
    player = new Player(byId("video"), (shown) => show(shown), () => {
      complain(`The video ${clip.video} is missing, broken, or of a kind that this browser cannot play. Copy the folder ` +
        "“media” along with the page, or make the page again (dvc repro report).");
      moving(false);
      show(index);
    });
    curve = new Curve(byId("plot"), byId("plot-overview"), goto);
    document.addEventListener("keydown", key, {capture: true});
    for (const name of ["play", "pause"]) byId("video").addEventListener(name, () => {
      byId("play").textContent = player.playing ? "❚❚ pause" : "▶ play";
      byId("play").setAttribute("aria-label", player.playing ? "Pause" : "Play");
      show(index);
      settle();
    });
    for (const id of ["play", "video"]) byId(id).addEventListener("click", () => player.toggle());
    byId("speed").addEventListener("change", () => player.setSpeed(+byId("speed").value));
    byId("frame-before").addEventListener("click", () => step(-1));
    byId("frame-after").addEventListener("click", () => step(1));
    byId("full-screen").addEventListener("click", fullScreen);
    byId("event-before").addEventListener("click", () => jump(-1));
    byId("event-after").addEventListener("click", () => jump(1));
    byId("zoom-in").addEventListener("click", () => curve.zoom(2));
    byId("zoom-out").addEventListener("click", () => curve.zoom(0.5));
    byId("zoom-all").addEventListener("click", () => curve.whole());
  }

  function open(all, number, time) {
    contents = all;
    const same = clip && clip.id === all.clips[number].id;
    if (same && frames) {
      if (time !== null) goto(indexOf(time));
      return;
    }
    close();
    clip = all.clips[number];
    const mine = ++opened;
    describe(number);
    report.frames(clip.id, clip.data).then((loaded) => {
      if (mine !== opened) return;  // another clip was opened meanwhile
      begin(usable(loaded), time);
    });
    byId("viewer-title").focus({preventScroll: true});
    window.scrollTo(0, 0);
  }

  function close() {
    opened++;
    clearTimeout(timer);
    if (player) player.clear();
    clip = frames = null;
    document.title = TITLE;
  }

  function complain(text) {
    const place = byId("viewer-message");
    place.append(element("span", {}, text + " "));
    place.hidden = false;
  }

  // The frames with times from 0 on. Without them the values of the small curve stand in.
  function usable(loaded) {
    const lists = loaded && [loaded.times, loaded.numbers, loaded.scores, ...Object.values(loaded.shares)];
    if (loaded && loaded.times.length && lists.every((list) => list.length === clip.frames) && ofThisRun(loaded)) {
      const first = loaded.times[0], times = loaded.times.map((time) => time - first);
      return {...loaded, times, first, end: times[times.length - 1] + 1 / clip.fps, exact: true};
    }
    complain(loaded ? `The file ${clip.data} is of another run: its frames or scores are not those of this page.` :
      `The file ${clip.data} is missing or broken.`);
    complain("The curve is coarse therefore, and shares of the branches are known at events only. Copy the folder " +
      "“media” along with the page, or make the page again (dvc repro report).");
    const count = Math.max(clip.curve.length, 1), end = Math.max(clip.seconds, 1 / clip.fps);
    const times = Array.from({length: count}, (_, i) => end * i / count);
    return {times, first: 0, end, numbers: null, scores: clip.curve.length ? clip.curve : [0], shares: null, exact: false};
  }

  // Scores in the file are rounded.
  function ofThisRun(loaded) {
    const highest = loaded.scores.reduce((a, b) => Math.max(a, b), -Infinity);
    return Math.abs(highest - clip.highest) <= 1e-3 * Math.max(Math.abs(clip.highest), 1e-9);
  }

  function describe(number) {
    // names of any script and direction keep to themselves
    const named = (what, name) => name ? [what, element("bdi", {}, name), ", "] : [];
    const facts = [`${wording.time(clip.seconds)} in ${wording.count(clip.frames)} frame${clip.frames === 1 ? "" : "s"}`, `${wording.number(clip.fps)} frames per second`,
      `highest score ${wording.number(clip.highest)} at ${wording.time(clip.peak)}`,
      clip.auc !== null && `AUC ${clip.auc.toFixed(3)}`];
    document.title = `${clip.name} · ${TITLE}`;
    byId("viewer-title").textContent = clip.name;
    byId("viewer-facts").replaceChildren(...named("camera ", clip.camera === UNNAMED ? "" : clip.camera), ...named("person ", clip.subject),
      facts.filter(Boolean).join(", "));
    byId("viewer-message").replaceChildren();
    byId("viewer-message").hidden = true;
    for (const [id, step] of [["clip-before", -1], ["clip-after", 1]]) {
      const other = contents.clips[number + step];
      byId(id).hidden = !other;
      if (other) byId(id).href = report.fragment(other.id);
    }
    if (byId("legend-labels")) byId("legend-labels").hidden = !(clip.labels && clip.labels.length);
    byId("shares").replaceChildren(...contents.branches.map((name, i) => element("li", {title: contents.meanings[i]},
      element("span", {class: "name"}, name), element("span", {class: "track"}, element("i")), element("span", {class: "value"}))));
    listEvents();
    moving(Boolean(clip.video));
    byId("video").style.aspectRatio = clip.size[0] ? `${clip.size[1]} / ${clip.size[0]}` : "";
    byId("reconstruction").hidden = !clip.reconstruction;
  }

  // Shows the video and its buttons, or neither.
  function moving(there) {
    for (const id of ["video", "play", "speed", "full-screen", "keys-play", "keys-screen"]) byId(id).hidden = !there;
  }

  function fullScreen() {
    const screen = byId("screen"), video = byId("video");
    if (document.fullscreenElement) document.exitFullscreen();
    else if (screen.requestFullscreen) screen.requestFullscreen().catch(() => {});
    else if (video.webkitEnterFullscreen) video.webkitEnterFullscreen();  // phones that show only videos so
  }

  function listEvents() {
    const none = !clip.events.length, goes = (time, label) =>
      element("button", {type: "button", "aria-label": label, click: () => goto(indexOf(time))}, wording.time(time));
    byId("viewer-events").hidden = none;
    byId("viewer-quiet").hidden = !none;
    byId("viewer-quiet").textContent = none ? `No event: in this clip no score stayed above the threshold of ` +
      `${wording.number(contents.threshold)} long enough. The highest is ${wording.number(clip.highest)} at ${wording.time(clip.peak)}.` : "";
    for (const id of ["event-before", "event-after"]) byId(id).hidden = none;
    const labelled = byId("legend-labels") !== null;
    const rows = clip.events.map((event) => element("tr", {},
      element("th", {scope: "row", class: "number"}, `${event.number}`),
      element("td", {class: "number"}, goes(event.start, `start of event ${event.number}`)),
      element("td", {class: "number"}, wording.time(event.end)),
      element("td", {class: "number"}, goes(event.peak, `peak of event ${event.number}`)),
      element("td", {class: "number"}, wording.number(event.score)),
      element("td", {}, event.where),
      element("td", {class: "why"}, wording.shares(event.shares)),
      ...(labelled ? [element("td", {}, event.labelled === null ? "" : event.labelled ? "labelled" : "false alarm")] : []),
      element("td", {}, event.picture ? element("img", {src: event.picture, loading: "lazy",
        alt: `Frame of the peak of event ${event.number}`}) : "–")));
    byId("viewer-events").querySelector("tbody").replaceChildren(...rows);
    row = null;
  }

  function begin(loaded, time) {
    frames = loaded;
    curve.set(shifted(), frames, contents.threshold);
    player.set(clip.video, frames.times, frames.end, clip.reconstruction, byId("reconstruction"));
    byId("plot").setAttribute("aria-valuemax", frames.times.length - 1);
    goto(time === null ? 0 : indexOf(time));
  }

  // The clip with times from 0 on, as the video has them.
  function shifted() {
    const move = ([start, end]) => [start - frames.first, end - frames.first];
    const events = clip.events.map((e) => ({...e, start: e.start - frames.first, end: e.end - frames.first}));
    return {...clip, events, labels: clip.labels && clip.labels.map(move)};
  }

  // The frame at a time in the clip. Addresses have whole milliseconds, so a frame may begin a little later.
  function indexOf(time) { return curve.indexAt(time - frames.first + ROUNDING); }

  // Takes video and curve to a frame.
  function goto(wanted) {
    if (!frames) return;
    wanted = Math.min(Math.max(wanted, 0), frames.times.length - 1);
    show(wanted);
    if (clip.video) player.goto(wanted);
    settle();
  }

  function eventAt(time) {
    return clip.events.find((event) => event.start <= time && time < event.end) || null;
  }

  // Shows what is known of a frame.
  function show(shown) {
    if (!frames) return;
    index = shown;
    curve.move(index);
    const time = frames.times[index] + frames.first, middle = time + 0.5 / clip.fps;
    const score = frames.scores[index], event = eventAt(middle), alarmed = score > contents.threshold;
    byId("now-time").textContent = wording.time(time, 2);
    byId("now-frame").textContent = frames.numbers ? `source frame ${wording.count(frames.numbers[index])}` : "";
    const state = (alarmed ? "alarm" : "normal") + (event ? `, event ${event.number} of ${clip.events.length}` : "");
    byId("now-state").textContent = state;
    byId("now-state").classList.toggle("alarm", alarmed);
    byId("readout").classList.toggle("alarm", alarmed);
    const limit = wording.number(contents.threshold);
    const ratio = contents.threshold > 0 ? `${wording.number(score / contents.threshold)} times` : "above";
    byId("now-score").textContent = `score ${wording.number(score)}, ${alarmed ? ratio : "not above"} the threshold of ${limit}`;
    byId("plot").dataset.index = index;
    if (!player.playing) {  // a screen reader would read out every frame
      byId("plot").setAttribute("aria-valuenow", index);
      byId("plot").setAttribute("aria-valuetext", `${wording.time(time, 2)}, score ${wording.number(score)}, ${state}`);
    }
    showShares(event);
    dim();
    const current = event && byId("viewer-events").querySelector("tbody").rows[clip.events.indexOf(event)];
    if (current !== row) {
      if (row) row.classList.remove("current");
      if (current) current.classList.add("current");
      row = current;
    }
    if (!clip.video || byId("video").hidden) showSnapshot(middle);
    else {
      byId("snapshot").hidden = true;
      byId("screen-text").textContent = "The score of a frame is smoothed over time, so an alarmed frame may have no orange box.";
    }
    byId("legend-boxes").hidden = byId("video").hidden && byId("snapshot").hidden;
    // while the video plays, only where an event begins or ends is worth a word
    if (player.playing && (event ? event.number : "") !== said) announce(event ? `event ${event.number} begins` : "event has ended");
    said = event ? event.number : "";
  }

  function showShares(event) {
    const percent = (name) => frames.shares ? (frames.shares[name] || [])[index] || 0 :
      event ? Math.round(100 * (event.shares[name] || 0)) : 0;
    let total = 0;
    contents.branches.forEach((name, i) => {
      const [, track, value] = byId("shares").children[i].children, part = percent(name);
      total += part;
      track.firstChild.style.width = `${part}%`;
      value.textContent = `${part} %`;
    });
    byId("shares-none").hidden = total > 0;
    byId("shares-none").textContent = frames.shares || event ? "No branch is above normal." : "";
  }

  // Without a video, the picture of the nearest event stands in.
  function showSnapshot(time) {
    const away = (event) => Math.abs(event.peak - time);
    const near = clip.events.filter((event) => event.picture).sort((a, b) => away(a) - away(b))[0];
    const picture = byId("snapshot");
    picture.hidden = !near;
    const how = clip.video ? "" : " There is no video of this clip: set report.videos to all in params.yaml, and run dvc repro.";
    if (near && picture.getAttribute("src") !== near.picture) picture.src = near.picture;
    picture.alt = near ? `Frame of the peak of event ${near.number}` : "";
    byId("screen-text").textContent = (near ? `Event ${near.number} at its peak, ${wording.time(near.peak)}.` :
      "No picture of this clip.") + how;
  }

  // Buttons that lead nowhere are dimmed; they keep the focus.
  function dim() {
    const starts = eventStarts(), last = frames.times.length - 1;
    const ends = {"event-before": !starts.some((start) => start < index), "event-after": !starts.some((start) => start > index),
      "frame-before": index === 0, "frame-after": index === last};
    for (const [id, ended] of Object.entries(ends)) byId(id).setAttribute("aria-disabled", ended);
  }

  function announce(text) { byId("live").textContent = text; }

  // Once the frame stays for a moment: says what is shown, and keeps it in the address.
  function settle() {
    clearTimeout(timer);
    timer = setTimeout(() => {
      if (!frames || player.playing) return;
      // the focused curve is read out by itself
      if (document.activeElement !== byId("plot")) announce(byId("plot").getAttribute("aria-valuetext"));
      report.remember(clip.id, frames.times[index] + frames.first);
    }, 400);
  }

  function step(count) {
    player.pause();
    goto(index + count);
  }

  function second(sign) {
    player.pause();
    const target = curve.indexAt(frames.times[index] + sign + 1e-6);
    goto(target === index ? index + sign : target);
  }

  function eventStarts() {
    return clip.events.map((event) => indexOf(event.start));
  }

  function jump(sign) {
    const starts = eventStarts();
    const target = sign > 0 ? starts.find((start) => start > index) : starts.filter((start) => start < index).pop();
    if (target !== undefined) goto(target);
    else announce(sign > 0 ? "no later event" : "no earlier event");
  }

  const KEYS = {
    ArrowLeft: (event) => event.shiftKey ? second(-1) : step(-1),
    ArrowRight: (event) => event.shiftKey ? second(1) : step(1),
    n: () => jump(1),
    p: () => jump(-1),
    " ": () => player.toggle(),
    Home: () => step(-Infinity),
    End: () => step(Infinity),
    Escape: () => { location.hash = "#clips"; },
    f: () => { if (!byId("full-screen").hidden) fullScreen(); },
    "+": () => curve.zoom(2),
    "=": () => curve.zoom(2),  // + without Shift
    "-": () => curve.zoom(0.5),
  };

  function key(event) {
    if (!clip || !frames || event.ctrlKey || event.altKey || event.metaKey) return;
    if (event.target.closest(FIELDS)) return;
    if (event.key === " " && event.target.closest("button, a, summary")) return;
    const act = KEYS[event.key.length === 1 ? event.key.toLowerCase() : event.key];
    if (!act) return;
    event.preventDefault();
    event.stopPropagation();
    act(event);
  }

  return {close, open, start};
})();

viewer.start();
report.start();
