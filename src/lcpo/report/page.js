"use strict";
(() => {
  const all = (selector, root) => Array.from((root || document).querySelectorAll(selector));

  // Tables: a click on a heading sorts, a second one turns the order round. Cells without a value stay last.
  const key = (cell) => {
    if (!cell || cell.dataset.value === "") return null;
    if (cell.dataset.value === undefined) return cell.textContent.trim().toLowerCase();
    return Number(cell.dataset.value);
  };
  const sort = (heading) => {
    const table = heading.closest("table"), body = table.tBodies[0];
    const column = Array.from(heading.parentNode.children).indexOf(heading);
    const down = heading.getAttribute("aria-sort") === "ascending";
    all("th[aria-sort]", table).forEach((other) => other.setAttribute("aria-sort", "none"));
    heading.setAttribute("aria-sort", down ? "descending" : "ascending");
    const rows = Array.from(body.rows).map((row, place) => [key(row.cells[column]), place, row]);
    rows.sort(([a, i], [b, j]) => {
      if (a === null || b === null) return (a === null) - (b === null) || i - j;
      return (a < b ? -1 : a > b ? 1 : 0) * (down ? -1 : 1) || i - j;
    });
    rows.forEach(([, , row]) => body.append(row));
  };
  all("th[aria-sort]").forEach((heading) => {
    heading.tabIndex = 0;
    heading.addEventListener("click", () => sort(heading));
    heading.addEventListener("keydown", (event) => {
      if (event.key === "Enter" || event.key === " ") { event.preventDefault(); sort(heading); }
    });
  });

  // Narrow screens show a row as a list: every cell then says its column.
  all("table").forEach((table) => {
    const names = all("thead th", table).map((heading) => heading.textContent);
    all("tbody tr", table).forEach((row) => Array.from(row.cells).forEach((part, i) => { part.dataset.name = names[i]; }));
    table.classList.add("named");
  });

  // Legends: a click hides a series in its picture, another shows it again.
  all("figure .legend button").forEach((button) => button.addEventListener("click", () => {
    const shown = button.getAttribute("aria-pressed") !== "true";
    button.setAttribute("aria-pressed", String(shown));
    all("g[data-series]", button.closest("figure")).forEach((group) => {
      if (group.dataset.series === button.dataset.series) group.classList.toggle("off", !shown);
    });
  }));

  // What it saves: everything is computed again when the price, the number of conversations or the baseline changes.
  const money = (value) => (value < 0 ? "−" : "") + "$" + Math.abs(value).toLocaleString("en-US", {
    minimumFractionDigits: Math.abs(value) < 1 ? 4 : 2, maximumFractionDigits: Math.abs(value) < 1 ? 4 : 2 });
  const cell = (row, name, text, value) => {
    const found = row.querySelector(`[data-cell="${name}"]`);
    found.textContent = text;
    found.dataset.value = value === null ? "" : String(value);
    found.classList.toggle("good", value > 0 && ["saved", "money", "points"].includes(name));
    found.classList.toggle("bad", value < 0 && ["saved", "money", "points"].includes(name));
  };
  const signed = (value, unit) => (value > 0 ? "+" : value < 0 ? "−" : "") + Math.abs(value).toFixed(1) + unit;
  all(".savings").forEach((box) => {
    const [price, count, base] = ["price", "count", "base"].map((name) => box.querySelector(`[name="${name}"]`));
    const rows = Array.from(box.querySelector("tbody").rows);
    const update = () => {
      const perToken = Math.max(0, Number(price.value) || 0) / 1e6, times = Math.max(0, Number(count.value) || 0);
      const from = rows.find((row) => row.dataset.row === base.value);
      rows.forEach((row) => {
        const tokens = Number(row.dataset.tokens), saved = Number(from.dataset.tokens) - tokens;
        const points = 100 * (Number(row.dataset.accuracy) - Number(from.dataset.accuracy));
        cell(row, "tokens", Math.round(tokens * times).toLocaleString("en-US"), tokens * times);
        cell(row, "saved", signed(100 * saved / Number(from.dataset.tokens), " %"), saved);
        cell(row, "cost", money(tokens * times * perToken), tokens * times * perToken);
        cell(row, "money", money(saved * times * perToken), saved * times * perToken);
        cell(row, "points", signed(points, ""), points);
        row.classList.toggle("from", row === from);
      });
    };
    [price, count, base].forEach((input) => input.addEventListener("input", update));
    update();
  });
})();
