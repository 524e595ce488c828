// One control for one factor: a slider with ticks, a hue bar, a dial, or named buttons. It holds no state of its own:
// `show` says what to show, the handlers hear what the user wants.

import { $, keyName, make } from "/static/base.js";

const SVG = "http://www.w3.org/2000/svg";
const MOST_BUTTONS = 24;

function svg(tag, attributes = {}, ...children) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

const icon = (name) => svg("svg", { "aria-hidden": "true" }, svg("use", { href: `#i-${name}` }));

/** Whether an angle is a colour: shown on a bar of colours. */
export const isHue = (factor) => factor.isRound && factor.range === 360 && /hue|colou?r/i.test(factor.name);

export class Control {
  /** handlers: input(value) while it moves, commit() when it rests, lock(), reset(), chosen() when it gets the focus. */
  constructor(factor, handlers, place) {
    Object.assign(this, { factor, handlers });
    const id = `factor-${place}`;
    this.name = make("h3", { id, class: "name", dir: "auto" }, factor.name);
    this.reads = make("span", { class: "reads small", hidden: true });
    this.lock = make("button", { type: "button", class: "icon quiet lock", onclick: () => handlers.lock() }, icon("open"));
    this.reset = make("button", { type: "button", class: "icon quiet", onclick: () => handlers.reset(), "aria-label": `Reset ${factor.name}`, title: "Reset (R)" }, icon("reset"));
    const parts = factor.isClass ? this.#classes(id) : this.#number(id);
    this.element = make(
      "div",
      { class: `factor ${factor.kind}`, role: "group", "aria-labelledby": id, "data-factor": factor.name },
      make("div", { class: "title" }, this.name, this.reads, make("span", { class: "spring" }), ...parts.beside, this.lock, this.reset),
      parts.body,
    );
    this.element.addEventListener("focusin", () => handlers.chosen());
    this.element.addEventListener("pointerdown", () => handlers.chosen());
  }

  /** value: in own units; set: whether the user gave it; locked; read: what E says, or null; active: marked. */
  show({ value, set, locked, read, active }) {
    const { factor } = this;
    this.value = value;
    this.element.classList.toggle("active", active);
    this.element.classList.toggle("set", set);
    this.reset.disabled = !set;
    if (this.lock.getAttribute("aria-pressed") !== String(locked)) {
      this.lock.setAttribute("aria-pressed", String(locked));
      this.lock.setAttribute("aria-label", `${locked ? "Unlock" : "Lock"} ${factor.name}`);
      this.lock.title = locked ? "Unlock (L)" : "Lock: a new sample keeps it (L)";
      $("use", this.lock).setAttribute("href", locked ? "#i-lock" : "#i-open");
    }
    this.reads.hidden = read === null;
    if (read !== null) this.reads.textContent = `reads ${factor.show(read)}`;
    this.draw(value, read);
  }

  focus() {
    (this.target instanceof Element ? this.target : this.target()).focus({ preventScroll: false });
  }

  // -- classes -----------------------------------------------------------------------------------------------------

  #classes(id) {
    const { factor, handlers } = this;
    const choose = (value) => {
      handlers.input(value);
      handlers.commit();
    };
    if (factor.size > MOST_BUTTONS) {
      const select = make("select", { "aria-labelledby": id, onchange: () => choose(select.value) });
      select.append(...factor.categories.map((name) => make("option", { value: name, dir: "auto" }, name)));
      this.target = select;
      this.draw = (value) => (select.value = value);
      return { beside: [], body: make("div", { class: "body" }, select) };
    }
    const buttons = factor.categories.map((name) =>
      make("button", { type: "button", role: "radio", onclick: () => choose(name) }, make("i", { class: "mark" }), make("bdi", {}, name)),
    );
    this.target = () => buttons.find((button) => button.tabIndex === 0);
    this.draw = (value, read) => {
      buttons.forEach((button, i) => {
        const here = factor.categories[i] === value;
        button.setAttribute("aria-checked", String(here));
        button.tabIndex = here ? 0 : -1;
        button.classList.toggle("read", factor.categories[i] === read);
      });
      if (buttons.includes(document.activeElement)) this.target().focus();
    };
    return { beside: [], body: make("div", { class: "body classes", role: "radiogroup", "aria-labelledby": id }, ...buttons) };
  }

  // -- numbers -----------------------------------------------------------------------------------------------------

  #number(id) {
    const { factor, handlers } = this;
    const typed = make("input", { type: "text", class: "value", inputmode: "decimal", autocomplete: "off", spellcheck: "false", "aria-labelledby": id, "aria-description": factor.span });
    typed.addEventListener("change", () => {
      const value = factor.parse(typed.value);
      typed.setAttribute("aria-invalid", String(value === null));
      if (value === null) return handlers.refused(typed.value);
      handlers.input(value);
      handlers.commit();
    });
    typed.addEventListener("blur", () => this.draw(this.value));
    typed.addEventListener("focus", () => typed.select());
    typed.addEventListener("keydown", (event) => {
      if (event.key === "Enter" || event.key === "Escape") {
        event.preventDefault();
        if (event.key === "Escape") typed.value = factor.show(this.value);
        this.focus();
      }
    });
    const isDial = factor.isRound && !isHue(factor);
    const control = isDial ? makeDial(factor, id, { turned: handlers.input, rested: handlers.commit }) : this.#slider(id);
    if (isDial) this.target = control.element;
    this.draw = (value, read) => {
      const shown = factor.show(value);
      if (document.activeElement !== typed) {
        typed.value = factor.unit === "°" || factor.unit === "%" ? factor.number(value) + factor.unit : factor.number(value);
        typed.removeAttribute("aria-invalid");
      }
      this.target.setAttribute("aria-valuetext", shown);
      control.draw(factor.levelOf(value));
      if (read !== undefined) control.mark(read === null ? null : factor.levelOf(read));
    };
    return { beside: [typed], body: control.body };
  }

  #slider(id) {
    const { factor, handlers } = this;
    const range = make("input", { type: "range", min: 0, max: 1, step: "any", "aria-labelledby": id });
    this.target = range;
    range.addEventListener("input", () => handlers.input(factor.valueOf(factor.snap(+range.value))));
    range.addEventListener("change", () => handlers.commit());
    const ticks = make("div", { class: "ticks", "aria-hidden": "true" });
    for (const level of factor.ticks) {
      const tick = make("i");
      tick.style.left = `${100 * level}%`;
      ticks.append(tick);
    }
    const mark = make("i", { class: "mark", hidden: true });
    ticks.append(mark);
    const body = make("div", { class: isHue(factor) ? "body rail hue" : "body rail" }, range, ticks);
    body.append(make("div", { class: "ends small", "aria-hidden": "true" }, make("span", {}, factor.show(factor.low)), make("span", {}, factor.show(factor.high))));
    return {
      body,
      draw: (level) => {
        // The right end of a circle is its left end: the thumb stays where it was dragged to.
        if (!(factor.isRound && level === 0 && range.value > 0.998)) range.value = level;
        range.style.setProperty("--level", level);
      },
      mark: (level) => {
        mark.hidden = level === null;
        mark.style.left = `${100 * level}%`;
      },
    };
  }
}

/** A dial for an angle: its lowest value is up, more is clockwise. `turned(value)` is told while it turns, `rested()` when it is let go. */
export function makeDial(factor, id, { turned, rested, words = factor.span }) {
  const at = (level, radius) => {
    const angle = 2 * Math.PI * (level - 0.25);
    return { x: 36 + radius * Math.cos(angle), y: 36 + radius * Math.sin(angle) };
  };
  const spoke = (level, from, to, attributes) => {
    const [a, b] = [at(level, from), at(level, to)];
    return svg("line", { x1: a.x, y1: a.y, x2: b.x, y2: b.y, ...attributes });
  };
  const hand = svg("g", { class: "hand" }, spoke(0, 0, 25, {}), svg("circle", { cx: 36, cy: 11, r: 6 }));
  const mark = svg("path", { class: "read", d: "M36 7 l-4 -7 h8 z", visibility: "hidden" });
  const element = svg("svg", { class: "dial", viewBox: "0 0 72 72", tabindex: 0, role: "slider", "aria-labelledby": id, "aria-valuemin": factor.low, "aria-valuemax": factor.high });
  element.append(svg("circle", { class: "face", cx: 36, cy: 36, r: 25 }), ...factor.ticks.map((u) => spoke(u, 28, 31, { class: "tick" })), hand, mark);
  const turn = (event) => {
    const box = element.getBoundingClientRect();
    const angle = Math.atan2(event.clientY - box.top - box.height / 2, event.clientX - box.left - box.width / 2);
    turned(factor.valueOf(factor.snap((angle / (2 * Math.PI) + 1.25) % 1)));
  };
  element.addEventListener("pointerdown", (event) => {
    event.preventDefault();
    element.focus();
    element.setPointerCapture(event.pointerId);
    turn(event);
  });
  element.addEventListener("pointermove", (event) => element.hasPointerCapture(event.pointerId) && turn(event));
  element.addEventListener("pointerup", () => rested());
  element.addEventListener("keydown", (event) => {
    const value = Number(element.getAttribute("aria-valuenow") ?? factor.low);
    const by = { pageup: 1, pagedown: -1 }[keyName(event)];
    const next = by ? [1, 2, 3, 4].reduce((from) => factor.next(from, by), value) : { home: factor.ends[0], end: factor.ends[1] }[keyName(event)];
    if (next === undefined) return;
    event.preventDefault();
    turned(next);
    rested();
  });
  return {
    element,
    body: make("div", { class: "body round" }, element, make("span", { class: "soft small" }, words)),
    draw: (level) => {
      hand.setAttribute("transform", `rotate(${360 * level} 36 36)`);
      element.setAttribute("aria-valuenow", String(factor.valueOf(level)));
    },
    mark: (level) => {
      mark.setAttribute("visibility", level === null ? "hidden" : "visible");
      mark.setAttribute("transform", `rotate(${360 * level} 36 36)`);
    },
  };
}
