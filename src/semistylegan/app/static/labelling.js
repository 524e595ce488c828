// The page for labels. The server offers an image; the answers are held here until they are saved, together with what
// this window saw of the image, so that no window writes over what another one wrote.

import { $, ask, askJson, copy, keys, make, say } from "/static/base.js";
import { Factor } from "/static/units.js";

const RECENT = 8;
const session = {
  get window() {
    if (!sessionStorage.window) sessionStorage.window = crypto.randomUUID?.() ?? String(Math.random());
    return sessionStorage.window;
  },
  /** Numbers of what this window did, to be undone; they outlive a reload. */
  get done() {
    return JSON.parse(sessionStorage.done ?? "[]");
  },
  set done(list) {
    sessionStorage.done = JSON.stringify(list.slice(-1000));
  },
};

let desk; // what the server says of the data and of the questions
let questions = []; // one Question a factor
let item = null; // the image on the screen
let saw = {}; // its cells, as this window saw them
let place = 0; // of the marked question
let busy = false;
let recent = []; // images labelled last: { image, name }

// -- one question ----------------------------------------------------------------------------------------------------

const isHue = (factor) => factor.isRound && factor.range === 360 && /hue|colou?r/i.test(factor.name);

class Question {
  constructor(entry, number) {
    this.name = entry.name;
    this.value = null;
    this.read = false; // whether the value is what the model reads, not yet a person's
    this.shown = make("span", { class: "answer" });
    this.other = make("span", { class: "other small", hidden: true });
    this.body = make("div");
    const id = `q${number}`;
    this.element = make(
      "div",
      { class: "question", role: "group", "aria-labelledby": id, "data-question": entry.name },
      make("div", { class: "title" }, make("h3", { id }, entry.name), this.other, this.shown),
      this.body,
    );
    this.element.addEventListener("pointerdown", () => mark(number));
    this.element.addEventListener("focusin", () => mark(number));
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
      make("button", { type: "button", role: "radio", onclick: () => this.answer(name) }, ...(i < 9 ? [make("kbd", {}, String(i + 1))] : []), make("span", {}, name), make("span", { class: "count" })),
    );
    const more = [];
    if (this.entry.grows) {
      this.input = make("input", { type: "text", placeholder: this.names.length ? "new class" : "name a class", maxlength: 60, "aria-label": `New class of ${this.name}`, autocomplete: "off", spellcheck: "false" });
      this.input.addEventListener("keydown", (event) => this.#typed(event, () => grow(this, this.input.value)));
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
      this.body.replaceChildren(make("div", { class: "choices", role: "radiogroup", "aria-label": this.name }, ...this.buttons));
      return this.show();
    }
    this.input = make("input", { type: "text", class: "typed", placeholder: "open", inputmode: "decimal", autocomplete: "off", "aria-label": `${this.name}, ${factor.span}` });
    this.input.addEventListener("keydown", (event) => this.#typed(event, () => this.#parse()));
    this.input.addEventListener("focus", () => this.input.select());
    this.input.addEventListener("change", () => this.#parse());
    this.input.addEventListener("blur", () => this.show());
    this.range = make("input", { type: "range", min: 0, max: 1, step: "any", value: 0.5, "aria-label": this.name });
    this.range.addEventListener("input", () => this.answer(factor.valueOf(factor.snap(+this.range.value)), { stay: true }));
    const ticks = make("div", { class: "ticks", "aria-hidden": "true" });
    for (const level of factor.ticks) {
      const tick = make("i");
      tick.style.left = `${100 * level}%`;
      ticks.append(tick);
    }
    this.body.replaceChildren(
      make("div", { class: isHue(factor) ? "rail hue" : "rail" }, this.range, ticks),
      make("div", { class: "ends", "aria-hidden": "true" }, make("span", {}, factor.show(factor.low)), make("span", {}, factor.show(factor.high))),
    );
    $(".title", this.element).append(this.input);
    this.show();
  }

  #typed(event, done) {
    if (event.key === "Enter") {
      event.preventDefault();
      if (!this.range && !this.input.value.trim()) return this.input.blur();
      done();
      this.input.blur();
    } else if (event.key === "Escape") {
      if (!this.range) this.input.value = "";
      this.show();
      this.input.blur();
    }
  }

  #parse() {
    if (!this.input.value.trim()) return this.answer(null);
    const value = this.factor.parse(this.input.value);
    if (value === null) say(`${this.name}: ${this.input.value} does not fit; give a number from ${this.factor.span}.`, { bad: true });
    if (value !== null && this.factor.show(value) !== this.text) this.answer(value);
    this.show();
  }

  #find(text) {
    const wanted = text.trim().toLowerCase();
    const found = this.names.find((name) => name.toLowerCase() === wanted) ?? this.names.find((name) => name.toLowerCase().startsWith(wanted)) ?? this.names.find((name) => name.toLowerCase().includes(wanted));
    this.input.value = "";
    if (found === undefined) return say(`${this.name}: there is no class ${text}.`, { bad: true });
    this.answer(found);
  }

  /** A person's answer; null leaves the question open. Marks the next open question unless told to stay. */
  answer(value, { stay = false } = {}) {
    Object.assign(this, { value, read: false });
    this.show();
    if (stay || value === null) return;
    advance();
  }

  /** Another value without a person's answer: what is known, or what the model reads. */
  set(value, read) {
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
    this.shown.textContent = this.range ? (this.read ? "model reads" : "") : open ? "open" : this.read ? `model reads ${text}` : text;
    this.shown.classList.toggle("open", open);
    if (this.range && document.activeElement !== this.input) this.input.value = text;
    const values = this.isClass ? this.names : this.steps;
    this.buttons?.forEach((button, i) => button.setAttribute("aria-checked", String(!open && (this.isClass ? values[i] === this.value : this.factor.nearest(values, this.value) === i))));
    if (this.range && !open) this.range.value = this.factor.levelOf(this.value);
    if (this.range) this.range.setAttribute("aria-valuetext", open ? "open" : text);
  }

  /** The answer with a number from 1 to 9. */
  pick(number) {
    const values = this.isClass ? this.names : this.steps;
    if (values) {
      if (values[number - 1] !== undefined) this.answer(values[number - 1]);
      return;
    }
    const level = this.factor.isRound ? (number - 1) / 9 : (number - 1) / 8;
    this.answer(this.factor.valueOf(this.factor.snap(level)));
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
    this.answer(this.value === null ? from : this.factor.next(from, direction, fine), { stay: true });
  }
}

// -- the image on the screen --------------------------------------------------------------------------------------------

function mark(number) {
  place = Math.min(questions.length - 1, Math.max(0, number));
  questions.forEach((question, i) => question.element.classList.toggle("active", i === place));
}

/** Marks the next question that is open or only read; saves where there is none and the user wants that. */
function advance() {
  const after = [...questions.keys()].map((i) => (place + 1 + i) % questions.length);
  const next = after.find((i) => questions[i].value === null) ?? after.find((i) => i > place && questions[i].read);
  if (next !== undefined) return mark(next);
  if ($("#quick").checked && questions.every(({ value }) => value !== null)) return save();
  if (place < questions.length - 1) mark(place + 1);
}

function progress(answer) {
  for (const entry of answer.questions) questions.find(({ name }) => name === entry.name)?.update(entry);
  $("#sentence").textContent = answer.sentence;
  $("#sentence").title = `in ${desk.file}`;
  $("#bar").max = Math.max(answer.goal, 1);
  $("#bar").value = Math.min(answer.labelled, answer.goal);
  $("#then").hidden = !answer.enough;
}

/** Shows an image: what is known of it, else what the model reads. `said` goes before both. */
function show(next, said = {}) {
  item = next;
  $("#work").hidden = !item;
  $("#end").hidden = Boolean(item);
  $("#notice").hidden = true;
  if (!item) return;
  saw = item.cells;
  for (const question of questions) {
    const own = said[question.name] ?? item.values[question.name];
    question.set(own ?? item.read[question.name], own === undefined);
  }
  mark(Math.max(0, questions.findIndex(({ value, read }) => value === null || read)));
  const picture = $("#picture");
  picture.classList.add("old");
  picture.onload = () => {
    picture.classList.remove("old");
    picture.classList.toggle("px", picture.naturalWidth <= 128);
  };
  picture.onerror = () => say(`${item.name} cannot be shown: skip it.`, { bad: true });
  picture.src = `/api/images/${item.image}/picture`;
  picture.alt = item.name;
  picture.dataset.image = item.image;
  $("#name").textContent = item.name;
  $("#undo").disabled = !session.done.length;
}

function remember({ image, name }) {
  recent = [{ image, name }, ...recent.filter((other) => other.image !== image)].slice(0, RECENT);
  $("#recent").replaceChildren(
    ...recent.map((one) =>
      make("button", { type: "button", title: `Change the labels of ${one.name}`, "aria-label": `Change the labels of ${one.name}`, onclick: () => visit(one.image) }, make("img", { src: `/api/images/${one.image}/picture`, alt: "", class: "px" })),
    ),
  );
}

/** One request at a time; its refusals are shown. */
async function talk(work) {
  if (busy) return;
  busy = true;
  try {
    await work();
  } catch (error) {
    if (error.status === 409) await newer();
    else say(error.message, { bad: true });
  } finally {
    busy = false;
  }
}

const post = (path, json) => askJson(path, { json: { window: session.window, ...json } });

function took(answer) {
  if (answer.undo !== undefined) session.done = [...session.done, answer.undo];
  progress(answer);
  show(answer.item, answer.said);
}

const save = () =>
  talk(async () => {
    if (!item) return;
    const values = Object.fromEntries(questions.map(({ name, value }) => [name, value]));
    if (questions.every(({ value }) => value === null) && !Object.keys(saw).length) {
      say("Nothing is answered yet: answer a question, or skip the image with S.");
      return;
    }
    const before = item;
    const answer = await post("/api/labels", { image: item.image, saw, values });
    remember(before);
    took(answer);
  });

const skip = () => talk(async () => item && took(await post("/api/skip", { image: item.image })));

const undo = () =>
  talk(async () => {
    const done = session.done;
    if (!done.length) return say("Nothing to undo in this window.");
    const last = done.at(-1);
    session.done = done.slice(0, -1);
    $("#undo").disabled = done.length < 2;
    try {
      const answer = await post("/api/undo", { undo: last });
      recent = recent.filter(({ image }) => image !== answer.item.image);
      took(answer);
    } catch (error) {
      say(error.message, { bad: true });
    }
  });

const visit = (image) => talk(async () => show(await askJson(`/api/images/${image}`)));

/** Another window labelled this image: its answers are shown beside ours; saving again writes ours. */
async function newer() {
  const now = await askJson(`/api/images/${item.image}`);
  saw = now.cells;
  for (const question of questions) {
    const theirs = now.values[question.name];
    const text = theirs === undefined ? "open" : question.isClass ? theirs : question.factor.show(theirs);
    question.other.textContent = `there: ${text}`;
    question.other.hidden = theirs === question.value || (theirs === undefined && question.value === null);
  }
  $("#notice").textContent = "This image was labelled meanwhile, in another window or in the file. Save again to write what is shown here, or skip to leave it.";
  $("#notice").hidden = false;
}

async function grow(question, text) {
  question.input.value = "";
  const name = text.trim();
  await talk(async () => {
    if (!question.names.includes(name)) progress(await askJson("/api/classes", { json: { name: question.name, category: name } }));
  });
  if (question.names.includes(name)) question.answer(name);
}

// -- buttons and keys ----------------------------------------------------------------------------------------------------

const type = () => questions[place]?.input?.focus();
const open = () => questions[place]?.answer(null);
const quick = () => {
  $("#quick").checked = !$("#quick").checked;
  localStorage.quick = $("#quick").checked;
};
const on = (id, action) => $(id).addEventListener("click", () => action());
on("#save", save);
on("#skip", skip);
on("#undo", undo);
on("#help", () => $("#keys").showModal());
on("#keys-close", () => $("#keys").close());
on("#copy", () => copy($("#train").textContent, "Command"));
$("#quick").addEventListener("change", () => (localStorage.quick = $("#quick").checked));
// A button that was clicked must not take the space bar and Enter from the page.
document.addEventListener("click", (event) => event.detail && event.target.closest?.("#panel button, .top button, #recent button")?.blur());

const step = (direction, fine) => questions[place]?.step(direction, fine);
keys({
  ...Object.fromEntries(Array.from({ length: 9 }, (_, i) => [String(i + 1), () => questions[place]?.pick(i + 1)])),
  arrowright: () => step(1), arrowleft: () => step(-1),
  "shift+arrowright": () => step(1, true), "shift+arrowleft": () => step(-1, true),
  arrowdown: () => mark(place + 1), arrowup: () => mark(place - 1),
  j: () => mark(place + 1), k: () => mark(place - 1),
  ".": type, ",": type, n: type, u: open, backspace: open, delete: open,
  enter: save, " ": save, s: skip, z: undo, "mod+z": undo, q: quick,
  "?": () => $("#keys").showModal(),
}, { before: (event) => !(event.target.closest?.("button, a, [tabindex]") && ["Enter", " "].includes(event.key)) });

// -- start -----------------------------------------------------------------------------------------------------------------

desk = await askJson("/api/desk").catch((error) => {
  say(error.message, { bad: true, seconds: 3600 });
  throw error;
});
questions = desk.questions.map((entry, i) => new Question(entry, i));
$("#questions").append(...questions.map(({ element }) => element));
document.title = `${desk.data}: labels`;
$("#title").textContent = desk.data;
$("#train").textContent = desk.train;
$("#quick").checked = localStorage.quick === undefined ? questions.length === 1 : localStorage.quick === "true";
await talk(async () => took(await post("/api/next", {})));
document.body.dataset.ready = "true";
