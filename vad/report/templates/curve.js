// The score curve of a clip: drawn as SVG for a stretch of time, with a playhead that moves without drawing anew.

const MOST_POINTS = 2000, LEAST_SPAN = 8;  // points drawn; frames in the narrowest stretch

class Curve {
  // seek: called with the index of a frame while somebody clicks or drags
  constructor(holder, overview, seek) {
    this.holder = holder;
    this.overviewHolder = overview;
    this.seek = seek;
    this.clip = null;
    new ResizeObserver(() => this.draw()).observe(holder);
    this._dragging(holder, (event) => this.seek(this.indexAt(this._seconds(event))));
    this._dragging(overview, (event) => {
      const box = overview.getBoundingClientRect();
      this._show(this.end * (event.clientX - box.left) / box.width - this.span / 2, this.span);
    });
    holder.addEventListener("wheel", (event) => {  // pinching on a touchpad is Ctrl and wheel
      if (!event.ctrlKey && !event.metaKey) return;
      event.preventDefault();
      this.zoom(event.deltaY < 0 ? 1.25 : 0.8, this._seconds(event));
    }, {passive: false});
  }

  // frames: times from 0 on, what to add for the time in the clip (first), and scores; clip: events and labels
  set(clip, frames, threshold) {
    this.clip = clip;
    this.times = frames.times;
    this.first = frames.first;
    this.scores = frames.scores;
    this.threshold = threshold;
    this.end = Math.max(frames.end, 1e-3);
    this.from = 0;
    this.span = this.end;
    this.index = 0;
    this.draw();
  }

  indexAt(seconds) {  // of the frame that is shown at a time
    let low = 0, high = this.times.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.times[middle] <= seconds) low = middle; else high = middle - 1;
    }
    return low;
  }

  zoom(factor, about = this.times[this.index]) {
    const least = Math.min(this.end, LEAST_SPAN * this.end / this.times.length);
    const span = Math.min(this.end, Math.max(least, this.span / factor));
    this._show(about - (about - this.from) * span / this.span, span);
  }

  whole() { this._show(0, this.end); }

  move(index) {  // the playhead
    this.index = index;
    const time = this.times[index];
    if (this.span < this.end && (time < this.from || time > this.from + this.span))
      this._show(time - this.span * 0.1, this.span);
    if (!this.playhead) return;
    this.playhead.setAttribute("transform", `translate(${this._x(this._middle(index)).toFixed(1)} 0)`);
    this.dot.setAttribute("cy", this._y(this.scores[index]).toFixed(1));
    this.dot.classList.toggle("above", this.scores[index] > this.threshold);
  }

  _middle(index) {
    const next = index + 1 < this.times.length ? this.times[index + 1] : this.end;
    return (this.times[index] + next) / 2;
  }

  _show(from, span) {
    this.span = span;
    this.from = Math.min(Math.max(0, from), this.end - span);
    this.draw();
  }

  _seconds(event) {
    const box = this.holder.getBoundingClientRect();
    const share = (event.clientX - box.left - this.left) / (this.right - this.left);
    return this.from + this.span * Math.min(Math.max(share, 0), 1);
  }

  _x(seconds) { return this.left + (this.right - this.left) * (seconds - this.from) / this.span; }
  _y(score) { return this.bottom - (this.bottom - this.top) * Math.min(Math.max(score, 0), this.most) / this.most; }

  _dragging(holder, act) {
    holder.addEventListener("pointerdown", (event) => {
      if (event.button !== 0 || !this.clip) return;
      holder.setPointerCapture(event.pointerId);
      act(event);
    });
    holder.addEventListener("pointermove", (event) => {
      if (holder.hasPointerCapture(event.pointerId)) act(event);
    });
  }

  // At most `most` points, the lowest and highest of equally long runs, so that no peak is lost.
  _points(first, last, most) {
    const count = last - first + 1, points = [];
    if (count <= most) {
      for (let i = first; i <= last; i++) points.push(i);
      return points;
    }
    const runs = most / 2;
    for (let run = 0; run < runs; run++) {
      const from = first + Math.floor(run * count / runs), to = first + Math.floor((run + 1) * count / runs);
      let low = from, high = from;
      for (let i = from; i < to; i++) {
        if (this.scores[i] < this.scores[low]) low = i;
        if (this.scores[i] > this.scores[high]) high = i;
      }
      points.push(Math.min(low, high));
      if (low !== high) points.push(Math.max(low, high));
    }
    return points;
  }

  _path(points, x, y) {
    return "M" + points.map((i) => `${x(this._middle(i)).toFixed(1)} ${y(this.scores[i]).toFixed(1)}`).join("L");
  }

  // Names the threshold where the curve leaves room: above or below the line, at the right, the left, or between.
  _level(svg, level, points) {
    const text = `threshold ${wording.number(this.threshold)}`, wide = 7 * text.length, room = [];
    for (const y of [level - 5, level + 14]) {
      for (const share of [1, 0, 0.75, 0.25, 0.5]) {
        const x = this.left + 4 + share * (this.right - this.left - wide - 4);
        let crossed = 0, before = null;
        for (const i of points) {
          const at = this._x(this._middle(i)), height = this._y(this.scores[i]);
          if (at > x - 4 && at < x + wide + 4 && Math.max(height, before ?? height) > y - 13 &&
            Math.min(height, before ?? height) < y + 4) crossed++;
          before = height;
        }
        room.push([crossed, x, y]);
      }
    }
    const [, x, y] = room.reduce((best, place) => place[0] < best[0] ? place : best);
    svg.append(drawing("text", {class: "level", x, y}, text));
  }

  draw() {
    const width = this.holder.clientWidth, height = this.holder.clientHeight;
    if (!this.clip || !width) return;
    Object.assign(this, {left: 40, right: width - 10, top: 20, bottom: height - 34});
    this.most = Math.max(this.clip.highest || 0, 1.3 * this.threshold, 1e-6) * 1.05;
    const svg = drawing("svg", {width, height, viewBox: `0 0 ${width} ${height}`, "aria-hidden": "true"});
    const plot = drawing("clipPath", {id: "plot-area"});
    plot.append(drawing("rect", {x: this.left, y: 0, width: this.right - this.left, height: this.bottom + 8}));
    const above = drawing("clipPath", {id: "plot-above"}), level = this._y(this.threshold);
    above.append(drawing("rect", {x: this.left, y: 0, width: this.right - this.left, height: level}));
    svg.append(plot, above);
    this._axes(svg);
    const inside = drawing("g", {"clip-path": "url(#plot-area)"});
    this._stretches(inside);
    svg.append(inside);
    svg.append(drawing("line", {class: "threshold", x1: this.left, x2: this.right, y1: level, y2: level}));
    const first = Math.max(0, this.indexAt(this.from) - 1);
    const last = Math.min(this.times.length - 1, this.indexAt(this.from + this.span) + 1);
    const points = this._points(first, last, MOST_POINTS);
    const path = this._path(points, (t) => this._x(t), (s) => this._y(s));
    this._level(svg, level, points);
    inside.append(drawing("path", {class: "curve", d: path}));
    inside.append(drawing("path", {class: "curve above", d: path, "clip-path": "url(#plot-above)"}));
    this.playhead = drawing("g", {class: "playhead"});
    this.dot = drawing("circle", {r: 5});
    this.playhead.append(drawing("line", {y1: this.top - 6, y2: this.bottom + 6}), this.dot);
    const clipped = drawing("g", {"clip-path": "url(#plot-area)"});
    clipped.append(this.playhead);
    svg.append(clipped);
    this.holder.replaceChildren(svg);
    this._overview();
    const index = this.index, time = this.times[index];
    if (time >= this.from && time <= this.from + this.span) this.move(index);
  }

  _axes(svg) {
    const rows = this._ticks(this.most, Math.max(2, Math.floor((this.bottom - this.top) / 30)));
    for (let value = 0; value <= this.most; value += rows) {
      const y = this._y(value);
      svg.append(drawing("line", {class: "grid", x1: this.left, x2: this.right, y1: y, y2: y}));
      svg.append(drawing("text", {x: this.left - 6, y: y + 4, "text-anchor": "end"}, +value.toFixed(6) + ""));
    }
    const steps = [0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400];
    const most = Math.max(2, Math.floor((this.right - this.left) / 70));
    const step = steps.find((s) => this.span / s <= most) || Math.ceil(this.span / most / 3600) * 3600;
    const [start, end] = [this.from + this.first, this.from + this.first + this.span];
    for (let tick = Math.ceil(start / step - 1e-9); tick * step <= end + 1e-9; tick++) {
      const x = this._x(tick * step - this.first);
      svg.append(drawing("line", {class: "tick", x1: x, x2: x, y1: this.bottom, y2: this.bottom + 5}));
      svg.append(drawing("text", {x, y: this.bottom + 18, "text-anchor": x > this.right - 14 ? "end" : "middle"},
        wording.time(tick * step, step < 1 ? 1 : 0)));
    }
    svg.append(drawing("text", {class: "name", x: this.right, y: this.bottom + 32, "text-anchor": "end"},
      this.end < 3600 ? "time in m:ss" : "time in h:mm:ss"));
    svg.append(drawing("text", {class: "name", x: 4, y: 11}, "score"));
  }

  _ticks(span, most) {
    const power = 10 ** Math.floor(Math.log10(span / most));
    return [1, 2, 5, 10].map((m) => m * power).find((step) => span / step <= most + 1e-9);
  }

  _stretches(group) {
    const rect = (kind, start, end, y, height) => {
      const x = this._x(start), width = Math.max(1.5, this._x(end) - x);
      if (x + width >= this.left && x <= this.right) group.append(drawing("rect", {class: kind, x, y, width, height}));
      return x;
    };
    const tall = this.bottom - this.top;
    for (const [start, end] of this.clip.labels || []) rect("labelled", start, end, this.top, tall);
    let free = -Infinity;  // numbers must not overlap
    for (const event of this.clip.events) {
      const x = Math.max(rect("alarm-band", event.start, event.end, this.top, tall), this.left);
      rect("event", event.start, event.end, this.bottom - 1, 6);
      if (x >= free && x <= this.right) {
        group.append(drawing("text", {class: "event-number", x: x + 2, y: this.top - 5}, `${event.number}`));
        free = x + 10 + 8 * `${event.number}`.length;
      }
    }
  }

  _overview() {  // the whole clip below, when the curve shows a stretch
    const holder = this.overviewHolder, zoomed = this.span < this.end * 0.999;
    holder.hidden = !zoomed;
    if (!zoomed) return;
    const width = holder.clientWidth, height = holder.clientHeight;
    const x = (seconds) => width * seconds / this.end, y = (score) => height - 2 - (height - 4) * score / this.most;
    const svg = drawing("svg", {width, height, "aria-hidden": "true"});
    const points = this._points(0, this.times.length - 1, 400);
    svg.append(drawing("path", {class: "curve", d: this._path(points, x, y)}));
    svg.append(drawing("rect", {class: "window", x: x(this.from), y: 0.5, width: Math.max(4, x(this.span)), height: height - 1}));
    holder.replaceChildren(svg);
  }
}
