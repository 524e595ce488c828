// Many small pictures that can be pressed: the filmstrip and the two grids. They come on sheets, a few at a time where
// pictures are large, so that the picture being changed never waits long.

import { Latest, ask, make } from "/static/base.js";

export class Tiles {
  /** place: element to fill; resolution: pixels a side; failed(error). */
  constructor(place, resolution, failed) {
    Object.assign(this, { place, resolution, cells: [] });
    this.atOnce = resolution <= 64 ? 100 : resolution <= 128 ? 8 : 2;
    this.latest = new Latest(
      (wanted) => this.#fill(wanted),
      () => (place.ariaBusy = "false"),
      (error, wanted) => {
        if (wanted.key === this.key) {
          this.key = undefined; // the next `show` tries again
          this.#clear();
        }
        place.ariaBusy = String(this.key !== undefined);
        failed(error);
      },
    );
  }

  /**
   * Shows pictures. wanted: { key, image, cells: [{ picture, label, side, name, press }] }; the same key draws nothing anew.
   * The buttons are kept as long as there are as many, so that the focus stays.
   */
  show(wanted) {
    if (this.cells.length !== wanted.cells.length) {
      this.cells = wanted.cells.map(() => {
        const canvas = make("canvas", { width: this.resolution, height: this.resolution, class: this.resolution <= 64 ? "px" : "" });
        const [label, side] = [make("span", { class: "label" }), make("span", { class: "side" })];
        const button = make("button", { type: "button", class: "tile" }, side, canvas, label);
        return { canvas, label, side, button, press: null };
      });
      for (const cell of this.cells) cell.button.addEventListener("click", () => cell.press());
      this.place.replaceChildren(...this.cells.map((cell) => cell.button));
    }
    wanted.cells.forEach(({ label, side = "", name, press }, i) => {
      this.cells[i].label.textContent = this.cells[i].label.title = label;
      this.cells[i].side.textContent = this.cells[i].side.title = side;
      this.cells[i].button.setAttribute("aria-label", name ?? label);
      this.cells[i].press = press;
    });
    if (wanted.key === this.key) return;
    this.key = wanted.key;
    for (const { canvas } of this.cells) canvas.classList.add("old"); // until it shows what its label says
    this.place.ariaBusy = "true";
    this.latest.want(wanted);
  }

  /** Marks one cell as the current one; -1 none. */
  mark(here) {
    this.cells.forEach(({ button }, i) => (i === here ? button.setAttribute("aria-current", "true") : button.removeAttribute("aria-current")));
  }

  /** Empties those that show something else than their labels say. */
  #clear() {
    for (const { canvas } of this.cells.filter(({ canvas }) => canvas.classList.contains("old"))) {
      canvas.getContext("2d").clearRect(0, 0, canvas.width, canvas.height);
      canvas.classList.remove("old");
    }
  }

  async #fill({ image, cells, key }) {
    for (let start = 0; start < cells.length && key === this.key; start += this.atOnce) {
      const some = cells.slice(start, start + this.atOnce);
      const columns = Math.min(some.length, 10);
      const sheet = await createImageBitmap(await (await ask("/api/pictures", { json: { image, columns, pictures: some.map((cell) => cell.picture) } })).blob());
      if (key !== this.key) return;
      const side = this.resolution;
      some.forEach((_, i) => {
        const canvas = this.cells[start + i].canvas;
        canvas.getContext("2d").drawImage(sheet, (i % columns) * side, Math.floor(i / columns) * side, side, side, 0, 0, side, side);
        canvas.classList.remove("old");
      });
    }
    if (key === this.key) this.place.dataset.shown = key;
  }
}
