// The list of clips: filters and sorts rows that are in the page. The table of events sorts as well.

const list = (() => {
  const byId = report.byId;

  function sortable(table) {
    const body = table.tBodies[0], heads = [...table.tHead.rows[0].cells];
    const original = [...body.rows];
    heads.forEach((head, column) => {
      const button = element("button", {type: "button", click: () => sort(head, column)}, head.textContent);
      head.replaceChildren(button);
    });

    function value(row, column) {
      const cell = row.cells[column];
      return cell.dataset.value === undefined ? cell.textContent.trim() : cell.dataset.value;
    }

    // a first click sorts names upwards and numbers downwards; empty cells come last
    function sort(head, column) {
      const number = original.some((row) => row.cells[column].dataset.value !== undefined);
      const before = head.getAttribute("aria-sort"), first = number ? "descending" : "ascending";
      const other = number ? "ascending" : "descending";
      const order = before === first ? other : first;
      for (const other of heads) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", order);
      const sign = order === "ascending" ? 1 : -1;
      const keys = new Map(original.map((row) => [row, value(row, column)]));
      const names = new Intl.Collator("en", {numeric: true});
      const compare = (a, b) => {
        const [x, y] = [keys.get(a), keys.get(b)];
        if (x === "" || y === "") return (x === "") - (y === "");
        return sign * (number ? x - y : names.compare(x, y));
      };
      body.append(...[...original].sort(compare));
    }
  }

  function filter() {
    const words = byId("filter-text").value.toLowerCase().split(/\s+/).filter(Boolean);
    const state = byId("filter-state").value, rows = byId("clip-list").tBodies[0].rows;
    let shown = 0;
    for (const row of rows) {
      const fits = words.every((word) => row.dataset.text.includes(word)) &&
        (!state || row.dataset.state.split(" ").includes(state));
      row.hidden = !fits;
      shown += fits;
    }
    byId("filter-count").textContent = shown === rows.length ? "" : `${shown} of ${wording.count(rows.length)} clips`;
  }

  // Of a long gallery the first ten, until the button is pressed.
  function shorten(gallery) {
    const count = gallery.children.length;
    if (count <= 15) return;
    gallery.classList.add("short");
    const more = () => {
      gallery.classList.remove("short");
      button.remove();
      gallery.children[10].firstElementChild.focus();
    };
    const button = element("button", {type: "button", class: "more", click: more}, `Show all ${count}`);
    gallery.after(button);
  }

  function start() {
    document.querySelectorAll(".gallery").forEach(shorten);
    sortable(byId("clip-list"));
    if (byId("event-list")) sortable(byId("event-list"));
    byId("filter").hidden = byId("clip-list").tBodies[0].rows.length < 2;
    byId("filter").addEventListener("submit", (event) => event.preventDefault());
    byId("filter-text").addEventListener("input", filter);
    byId("filter-state").addEventListener("change", filter);
    filter();  // browsers keep what was typed when a page is loaded again
  }

  return {start};
})();
