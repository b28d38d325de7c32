// The overlay video of a clip, and that of the reconstruction, in step with the frames of the curve.

class Player {
  // shown: called with the index of the frame that the video shows; failed: if the video cannot be played
  constructor(video, shown, failed) {
    this.video = video;
    this.shown = shown;
    this.second = null;  // the video of the reconstruction
    this.times = null;
    this.wanted = null;  // index of the frame to which the video is on its way
    this.next = null;  // where to go after that
    video.addEventListener("seeked", () => this._arrived());
    video.addEventListener("error", () => { if (video.getAttribute("src")) failed(); });
    video.addEventListener("play", () => { if (this.second) this.second.play().catch(() => {}); });
    video.addEventListener("pause", () => {
      if (!this.second) return;
      this.second.pause();
      this._follow(true);
    });
    video.addEventListener("ratechange", () => { if (this.second) this.second.playbackRate = video.playbackRate; });
    fetchUnlessSeekable(video, () => {
      this.next = this.next ?? this.wanted ?? 0;  // which could not be reached
      this.wanted = null;
    });
    // the first picture is there
    video.addEventListener("loadeddata", () => { if (this.next !== null) this._go(); });
    if ("requestVideoFrameCallback" in HTMLVideoElement.prototype) {
      const frame = (now, metadata) => {
        this._presented(metadata.mediaTime);
        video.requestVideoFrameCallback(frame);
      };
      video.requestVideoFrameCallback(frame);
    } else {
      const tick = () => {
        this._presented(video.currentTime, true);
        if (!video.paused) requestAnimationFrame(tick);
      };
      video.addEventListener("play", tick);
      // the picture on the screen may be that before or after this time
      video.addEventListener("pause", () => { if (this.times) this.goto(this._last(video.currentTime)); });
      for (const name of ["timeupdate", "seeked"]) video.addEventListener(name, () => this._presented(video.currentTime, true));
    }
  }

  // times: of the frames, from 0 on, and end: after the last; second: holder of the video of the reconstruction
  set(path, times, end, secondPath, holder) {
    this.clear();
    Object.assign(this, {times, end});
    if (path) this.video.src = path;
    if (path && secondPath) {
      this.second = element("video", {src: secondPath, muted: "", playsinline: "", preload: "auto",
        "aria-label": "Video of the reconstruction", error: () => { holder.hidden = true; }});
      this.second.muted = true;
      fetchUnlessSeekable(this.second);
      this.second.addEventListener("loadeddata", () => this._follow(true));
      holder.prepend(this.second);
    }
  }

  clear() {
    this.video.pause();
    this.times = this.wanted = this.next = null;
    if (this.video.getAttribute("src")) {
      this.video.removeAttribute("src");
      this.video.load();
    }
    if (this.second) {
      this.second.removeAttribute("src");
      this.second.load();
      this.second.remove();
    }
    this.second = null;
  }

  goto(index) {
    this.next = index;
    // a browser that still seeks or loads would drop a frame in between: the last wish counts
    if (this.video.readyState >= 1 && this.wanted === null) this._go();
  }

  _go() {
    const index = this.next;
    this.next = null;
    const middle = this._middle(index);
    if (Math.abs(this.video.currentTime - middle) < 1e-4) return;
    this.wanted = index;
    this.video.currentTime = middle;
    this._follow(true);
  }

  _arrived() {
    this.wanted = null;
    if (this.next !== null) this._go();
  }

  _middle(index) {  // of the time in which the frame is shown, so that no other is near
    const next = index + 1 < this.times.length ? this.times[index + 1] : this.end;
    return (this.times[index] + next) / 2;
  }

  // A frame is on the screen. `mediaTime` is its own time, which may be rounded; `within` says that the time
  // is anywhere in that of the frame.
  _presented(mediaTime, within = false) {
    if (!this.times) return;
    const index = within ? this._last(mediaTime) : this._nearest(mediaTime);
    // pictures from before a jump must not take the playhead back
    if (this.next !== null || (this.wanted !== null && this.wanted !== index)) return;
    this.shown(index);
    this._follow(false);
  }

  _last(time) {
    let low = 0, high = this.times.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.times[middle] <= time) low = middle; else high = middle - 1;
    }
    return low;
  }

  _nearest(time) {
    const index = this._last(time);
    const after = Math.min(index + 1, this.times.length - 1);
    return Math.abs(this.times[after] - time) < Math.abs(this.times[index] - time) ? after : index;
  }

  _follow(exactly) {
    if (!this.second || !this.second.readyState) return;
    const off = Math.abs(this.second.currentTime - this.video.currentTime);
    const interval = this.end / this.times.length;
    if (exactly ? off > 1e-3 : off > interval) this.second.currentTime = this.video.currentTime;
  }

  toggle() {
    if (!this.video.getAttribute("src")) return;
    if (this.video.paused) this.video.play().catch(() => {});
    else this.video.pause();
  }

  setSpeed(speed) {
    this.video.playbackRate = this.video.defaultPlaybackRate = speed;
  }

  pause() { this.video.pause(); }
  get playing() { return !this.video.paused; }
}

// Some servers, such as `python -m http.server`, cannot send a part of a file, and browsers do not jump within their
// videos. Then the whole video is fetched first. changed: called before the fetched one is loaded.
function fetchUnlessSeekable(video, changed = () => {}) {
  let fetched = null;
  video.addEventListener("loadedmetadata", () => {
    const path = video.getAttribute("src"), {seekable} = video;
    if (!location.protocol.startsWith("http") || path === fetched) return;
    URL.revokeObjectURL(fetched);
    if (seekable.length && seekable.end(seekable.length - 1) > 0) return;
    fetch(path).then((answer) => answer.blob()).then((blob) => {
      if (video.getAttribute("src") !== path) return;  // another clip was opened meanwhile
      changed();
      video.src = fetched = URL.createObjectURL(blob);
    }).catch(() => {});
  });
}
