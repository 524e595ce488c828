// One question of the labelling page: buttons for classes and for few values, a rail or a dial with a field for numbers.

import { $, make, say } from "/static/base.js";
import { isHue, makeDial } from "/static/controls.js";
import { Factor } from "/static/units.js";

export class Question {
  /**
   * entry: what the server says of it. handlers: chosen() when it is pointed at, answered() after a person's answer,
   * grow(question, text) for a class that is new.
   */
  constructor(entry, number, handlers) {
    Object.assign(this, { name: entry.name, handlers, id: `q${number}` });
    this.value = null;
    this.read = false; // whether the value is what the model reads, not yet a person's
    this.shown = make("span", { class: "answer" });
    this.other = make("span", { class: "other small", hidden: true });
    this.body = make("div");
    this.element = make(
      "div",
      { class: "question", role: "group", "aria-labelledby": this.id, "data-question": entry.name },
      make("div", { class: "title" }, make("h3", { id: this.id, dir: "auto" }, entry.name), this.other, this.shown),
      this.body,
    );
    for (const kind of ["pointerdown", "focusin"]) this.element.addEventListener(kind, () => handlers.chosen());
    this.update(entry);
  }

  /** Takes what the server says anew: classes may have come, counts change. */
  update(entry) {
    const before = JSON.stringify(this.entry?.categories?.map(([name]) => name));
    this.entry = entry;
    this.isClass = entry.kind === "categorical";
    if (this.isClass) {
      this.factor = null;
      this.names = entry.categories.map(([name]) => name);
      if (JSON.stringify(this.names) !== before) this.#classes();
      entry.categories.forEach(([, count], i) => ($(".count", this.buttons[i]).textContent = count || ""));
    } else if (!this.factor) {
      this.factor = new Factor(entry);
      const ticks = this.factor.ticks;
      this.steps = ticks.length && ticks.length <= 9 ? ticks.map((level) => this.factor.valueOf(level)) : null;
      this.#number();
    }
  }

  #classes() {
    this.buttons = this.names.map((name, i) =>
      make("button", { type: "button", role: "radio", onclick: () => this.answer(name) }, ...(i < 9 ? [make("kbd", {}, String(i + 1))] : []), make("bdi", {}, name), make("span", { class: "count" })),
    );
    const more = [];
    if (this.entry.grows) {
      this.input = make("input", { type: "text", placeholder: this.names.length ? "new class" : "name a class", maxlength: 60, "aria-label": `New class of ${this.name}`, autocomplete: "off", spellcheck: "false" });
      this.input.addEventListener("keydown", (event) => this.#typed(event, () => this.handlers.grow(this, this.input.value)));
      more.push(this.input);
    } else if (this.names.length > 9) {
      this.input = make("input", { type: "text", placeholder: "find", "aria-label": `Find a class of ${this.name}`, autocomplete: "off", spellcheck: "false" });
      this.input.addEventListener("keydown", (event) => this.#typed(event, () => this.#find(this.input.value)));
      more.push(this.input);
    }
    this.body.replaceChildren(make("div", { class: "choices", role: "radiogroup", "aria-label": this.name }, ...this.buttons, ...more));
    this.show();
  }

  #number() {
    const { factor } = this;
    if (this.steps) {
      this.buttons = this.steps.map((value, i) => make("button", { type: "button", role: "radio", onclick: () => this.answer(value) }, make("kbd", {}, String(i + 1)), make("span", {}, factor.show(value))));
      const choices = make("div", { class: "choices steps", role: "radiogroup", "aria-label": this.name }, ...this.buttons);
      choices.style.setProperty("--letters", Math.max(...this.steps.map((value) => factor.show(value).length)));
      this.body.replaceChildren(choices);
      return this.show();
    }
    this.input = make("input", { type: "text", class: "typed", placeholder: "open", inputmode: "decimal", autocomplete: "off", "aria-label": `${this.name}, ${factor.span}` });
    this.input.addEventListener("keydown", (event) => this.#typed(event, () => this.#parse()));
    this.input.addEventListener("focus", () => this.input.select());
    this.input.addEventListener("change", () => this.#parse());
    this.input.addEventListener("blur", () => this.show());
    this.body.replaceChildren(factor.isRound && !isHue(factor) ? this.#dial() : this.#rail());
    $(".title", this.element).append(this.input);
    this.show();
  }

  #rail() {
    const { factor } = this;
    const range = make("input", { type: "range", min: 0, max: 1, step: "any", value: 0.5, "aria-label": this.name });
    range.addEventListener("input", () => this.answer(factor.valueOf(factor.snap(+range.value)), { stay: true }));
    this.target = range;
    this.move = (level) => (range.value = level);
    const ticks = make("div", { class: "ticks", "aria-hidden": "true" });
    for (const level of factor.ticks.length ? factor.ticks : Array.from({ length: 9 }, (_, i) => this.#levelOfKey(i + 1))) {
      const tick = make("i");
      tick.style.left = `${100 * level}%`;
      ticks.append(tick);
    }
    const ends = make("div", { class: "ends", "aria-hidden": "true" }, make("span", {}, factor.show(factor.low)), make("span", {}, factor.show(factor.high)));
    return make("div", { class: isHue(factor) ? "rail hue" : "rail" }, range, ticks, ends);
  }

  #dial() {
    const turned = (value) => this.answer(value, { stay: true });
    const words = `${this.factor.show(this.factor.low)} is up, then clockwise`;
    const dial = makeDial(this.factor, this.id, { turned, rested: () => {}, words });
    this.target = dial.element;
    this.move = dial.draw;
    return dial.body;
  }

  #typed(event, done) {
    // Enter that ends the composing of a character (229 where the browser is Safari) is not yet the name's end.
    if (event.isComposing || event.keyCode === 229) return;
    if (event.key === "Enter") {
      event.preventDefault();
      if (!this.target && !this.input.value.trim()) return this.input.blur();
      done();
      this.input.blur();
    } else if (event.key === "Escape") {
      this.#fits();
      this.input.value = this.target ? this.text : ""; // before the blur, which answers with what was typed
      this.input.blur();
    }
  }

  /** What does not fit stays in its field, marked, until it is mended: nothing is saved without it. */
  #parse() {
    this.#fits();
    if (!this.input.value.trim()) return this.answer(null);
    const value = this.factor.parse(this.input.value);
    if (value === null) {
      this.input.setAttribute("aria-invalid", "true");
      return say(`${this.name}: ${this.input.value} does not fit; give a number from ${this.factor.span}.`, { bad: true });
    }
    // Said already (Enter, then the blur), or nothing but looked at.
    const known = [value, this.factor.exact(value)].some((one) => this.factor.show(one) === this.text);
    if (!known) this.answer(value);
    this.show();
  }

  #fits() {
    this.input?.removeAttribute("aria-invalid");
  }

  #find(text) {
    const plain = (name) => name.normalize().toLowerCase();
    const wanted = plain(text.trim());
    const found = this.names.find((name) => plain(name) === wanted) ?? this.names.find((name) => plain(name).startsWith(wanted)) ?? this.names.find((name) => plain(name).includes(wanted));
    this.input.value = "";
    if (found === undefined) return say(`${this.name}: there is no class ${text}.`, { bad: true });
    this.answer(found);
  }

  /** A person's answer, of a grid the nearest value; null leaves the question open. Marks the next open question unless told to stay. */
  answer(value, { stay = false } = {}) {
    this.#fits();
    Object.assign(this, { value: value === null || this.isClass ? value : this.factor.exact(value), read: false });
    this.show();
    if (stay || value === null) return;
    this.handlers.answered();
  }

  /** Another value without a person's answer: what is known, or what the model reads. */
  set(value, read) {
    this.#fits();
    Object.assign(this, { value: value ?? null, read: read && value !== undefined && value !== null });
    this.other.hidden = true;
    this.show();
  }

  show() {
    const open = this.value === null;
    this.element.classList.toggle("open", open);
    this.element.classList.toggle("read", this.read);
    const text = open ? "" : this.isClass ? this.value : this.factor.show(this.value);
    this.text = text;
    this.shown.textContent = this.target ? (this.read ? "model reads" : "") : open ? "open" : this.read ? `model reads ${text}` : text;
    this.shown.classList.toggle("open", open);
    if (this.target && document.activeElement !== this.input && this.input.ariaInvalid !== "true") this.input.value = text;
    const values = this.isClass ? this.names : this.steps;
    const chosen = !values || open ? -1 : this.isClass ? values.indexOf(this.value) : this.factor.nearest(values, this.value);
    this.buttons?.forEach((button, i) => {
      button.setAttribute("aria-checked", String(i === chosen));
      button.tabIndex = i === Math.max(0, chosen) ? 0 : -1;
    });
    // The focus goes with the answer: where it stayed behind, Enter would answer what was there before the arrows. Where
    // it is already, it is not set anew, which would scroll back to it.
    const focused = this.buttons?.[Math.max(0, chosen)];
    if (focused !== document.activeElement && this.buttons?.includes(document.activeElement)) focused.focus();
    if (this.target && !open) this.move(this.factor.levelOf(this.value));
    this.target?.setAttribute("aria-valuetext", open ? "open" : text);
  }

  /** The answer with a number from 1 to 9. */
  pick(number) {
    const values = this.isClass ? this.names : this.steps;
    if (values) {
      if (values[number - 1] !== undefined) this.answer(values[number - 1]);
      return;
    }
    this.answer(this.factor.valueOf(this.#levelOfKey(number)));
  }

  /** The level of a key from 1 to 9: evenly spaced; where the factor has a grid, a place of it. */
  #levelOfKey(number) {
    const level = this.factor.isRound ? (number - 1) / 9 : (number - 1) / 8;
    const ticks = this.factor.ticks;
    return ticks.length ? ticks.reduce((best, u) => (Math.abs(u - level) < Math.abs(best - level) ? u : best)) : level;
  }

  /** The answer before or after. */
  step(direction, fine) {
    const values = this.isClass ? this.names : this.steps;
    if (values) {
      if (!values.length) return;
      const at = this.value === null ? (direction > 0 ? -1 : values.length) : this.isClass ? values.indexOf(this.value) : this.factor.nearest(values, this.value);
      return this.answer(values[Math.min(values.length - 1, Math.max(0, at + direction))], { stay: true });
    }
    const from = this.value ?? this.factor.valueOf(0.5);
    const next = fine && this.factor.size ? this.factor.exact(from, direction) : this.factor.next(from, direction, fine);
    this.answer(this.value === null ? from : next, { stay: true });
  }
}
