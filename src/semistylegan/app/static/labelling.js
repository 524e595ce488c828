// The page for labels. The server offers an image; the answers are held here until they are saved, together with what
// this window saw of the image, so that no window writes over what another one wrote.

import { $, askJson, copy, held, keyName, keys, make, say } from "/static/base.js";
import { Question } from "/static/question.js";

const RECENT = 8;
const session = {
  get window() {
    if (!sessionStorage.window) sessionStorage.window = crypto.randomUUID?.() ?? String(Math.random());
    return sessionStorage.window;
  },
  /** Numbers of what this window did, to be undone; they outlive a reload, but not the server that gave them. */
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
let damaged; // the note that the image cannot be shown
let recent = []; // images labelled last: { image, name }
const half = new Map(); // image -> what this window said of it when it went to another one, and what it saw of it then

// -- the image on the screen --------------------------------------------------------------------------------------------

/** Whether the image has not come yet: nobody can say anything of it. */
const unseen = () => $("#picture").classList.contains("old");

/** Marks a question; one that was not pointed at is brought into sight. */
function mark(number, { pointed = false } = {}) {
  place = Math.min(questions.length - 1, Math.max(0, number));
  questions.forEach((question, i) => question.element.classList.toggle("active", i === place));
  if (!pointed) questions[place].element.scrollIntoView({ block: "nearest" });
}

/** Marks the next question that is open or only read; saves where there is none and the user wants that. */
function advance() {
  const after = [...questions.keys()].map((i) => (place + 1 + i) % questions.length);
  const next = after.find((i) => questions[i].value === null) ?? after.find((i) => i > place && questions[i].read);
  if (next !== undefined) return mark(next);
  if ($("#quick").checked && questions.every(({ value }) => value !== null)) return save();
  if (place < questions.length - 1) mark(place + 1);
}

/** What a request asks or says belongs to one sitting of the server: another one may number other images. */
const ofSitting = (path) => `${path}?of=${desk.sitting}`;
const pictureOf = (image) => ofSitting(`/api/images/${image}/picture`);

function progress(answer) {
  for (const entry of answer.questions) questions.find(({ name }) => name === entry.name)?.update(entry);
  $("#sentence").textContent = answer.sentence;
  $("#sentence").title = `in ${desk.file}`;
  $("#bar").max = Math.max(answer.goal, 1);
  $("#bar").value = Math.min(answer.labelled, answer.goal);
  $("#then").hidden = !answer.enough;
}

/** Keeps what was said of the image on the screen, for when it comes again. */
function keep() {
  const said = questions.filter(({ read }) => !read).map(({ name, value }) => [name, value]);
  half.set(item.image, { saw: JSON.stringify(saw), said: Object.fromEntries(said) });
}

/** Shows an image: what was said of it in this window, else what is known, else what the model reads. */
function show(next, said = {}) {
  if (item) keep();
  damaged?.remove();
  item = next;
  $("#work").hidden = !item;
  $("#end").hidden = Boolean(item);
  $(item ? "#panel" : "#end").append($("#then"));
  $("#notice").hidden = true;
  $("#undo").disabled = !session.done.length;
  $("#back").hidden = !session.done.length;
  if (!item) return;
  saw = item.cells;
  const before = half.get(item.image);
  const known = { ...item.values, ...said, ...(before?.saw === JSON.stringify(saw) && before.said) };
  for (const question of questions) {
    const own = held(known, question.name);
    question.set(own === undefined ? held(item.read, question.name) : own, own === undefined);
  }
  mark(Math.max(0, questions.findIndex(({ value, read }) => value === null || read)));
  const picture = $("#picture");
  picture.classList.add("old");
  picture.onload = () => {
    picture.classList.remove("old");
    picture.classList.toggle("px", picture.naturalWidth <= 128);
  };
  picture.onerror = () => {
    picture.classList.remove("old");
    damaged = say(`${item.name} cannot be shown: skip it.`, { bad: true });
  };
  picture.src = pictureOf(item.image);
  picture.alt = item.name;
  picture.dataset.image = item.image;
  $("#name").textContent = item.name;
}

function remember({ image, name }) {
  recent = [{ image, name }, ...recent.filter((other) => other.image !== image)].slice(0, RECENT);
  $("#recent").replaceChildren(
    ...recent.map((one) =>
      make("button", { type: "button", title: `Change the labels of ${one.name}`, "aria-label": `Change the labels of ${one.name}`, onclick: () => visit(one.image) }, make("img", { src: pictureOf(one.image), alt: "", class: "px" })),
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
    if (error.status !== 409) return say(error.message, { bad: true });
    await newer().catch(({ message }) => say(message, { bad: true }));
  } finally {
    busy = false;
  }
}

const post = (path, json) => askJson(ofSitting(path), { json: { window: session.window, ...json } });

function took(answer) {
  if (answer.undo !== undefined) session.done = [...session.done, answer.undo];
  progress(answer);
  if (answer.trouble === undefined) return show(answer.item, answer.said);
  // Done, but the next image cannot be had: this one stays, as it is known now; the next key tries again.
  saw = answer.cells;
  $("#undo").disabled = false;
  say(`This is done, but the next image cannot be shown: ${answer.trouble}`, { bad: true });
}

const save = () =>
  talk(async () => {
    if (!item || unseen()) return;
    const wrong = $("#questions [aria-invalid=true]");
    if (wrong) return wrong.focus();
    const values = Object.fromEntries(questions.map(({ name, value }) => [name, value]));
    if (questions.every(({ value }) => value === null) && !Object.keys(saw).length) {
      say("Nothing is answered yet: answer a question, or skip the image with S.");
      return;
    }
    const before = item;
    const answer = await post("/api/labels", { image: item.image, saw, values });
    // What was pressed meanwhile was meant for the next image, and is of none.
    for (const question of questions) question.set(held(values, question.name), false);
    remember(before);
    took(answer);
  });

const skip = () => talk(async () => item && took(await post("/api/skip", { image: item.image })));

const undo = () =>
  talk(async () => {
    const done = session.done;
    if (!done.length) return say("Nothing to undo in this window.");
    try {
      const answer = await post("/api/undo", { undo: done.at(-1) });
      session.done = done.slice(0, -1);
      recent = recent.filter(({ image }) => image !== answer.item.image);
      took(answer);
    } catch (error) {
      // What will never be undone is forgotten; what could not be undone now is tried again by the next Z.
      if ([404, 409].includes(error.status)) session.done = done.slice(0, -1);
      $("#undo").disabled = !session.done.length;
      say(error.message, { bad: true });
    }
  });

const visit = (image) => talk(async () => show(await askJson(ofSitting(`/api/images/${image}`))));

/** Another window labelled this image: its answers are shown beside ours; saving again writes ours. */
async function newer() {
  const now = await askJson(ofSitting(`/api/images/${item.image}`));
  saw = now.cells;
  for (const question of questions) {
    const theirs = held(now.values, question.name);
    const text = theirs === undefined ? "open" : question.isClass ? theirs : question.factor.show(theirs);
    question.other.textContent = `there: ${text}`;
    question.other.hidden = theirs === question.value || (theirs === undefined && question.value === null);
  }
  $("#notice").textContent = "This image was labelled meanwhile, in another window or in the file. Save again to write what is shown here, or skip to leave it.";
  $("#notice").hidden = false;
  $("#notice").scrollIntoView({ block: "nearest" });
}

async function grow(question, text) {
  question.input.value = "";
  const name = text.trim().normalize();
  const known = () => question.names.find((other) => other.normalize() === name); // in whatever form its accents are
  await talk(async () => {
    if (known() === undefined) progress(await askJson(ofSitting("/api/classes"), { json: { name: question.name, category: name } }));
  });
  if (known() !== undefined) question.answer(known());
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
document.addEventListener("click", (event) => event.detail && event.target.closest?.("#panel button, .top button, #recent button, #quick")?.blur());
// A key that is held answers and saves once: nobody has looked at the images after this one.
document.addEventListener("keydown", (event) => {
  if (event.repeat && (event.key.length === 1 || event.key === "Enter") && !event.target.matches?.("[type=text]")) event.preventDefault();
});

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
}, {
  before: (event) => {
    const { target } = event;
    const key = keyName(event);
    return (!unseen() || ["s", "z", "mod+z", "?", "q"].includes(key)) &&
      !(target.closest?.("button, a, [tabindex]:not(.dial)") && ["enter", " "].includes(key)) && !(target === $("#quick") && key === " ");
  },
});

// -- start -----------------------------------------------------------------------------------------------------------------

/** Holds the name of this window. A tab that was duplicated came with the name of the other one: it takes a new one. */
async function beAlone() {
  const alone = await new Promise((answer) => {
    const hold = () => {
      answer(true);
      return new Promise(() => {}); // until the tab is closed
    };
    navigator.locks.request(session.window, { signal: AbortSignal.timeout(1000) }, hold).catch(() => answer(false));
  });
  if (alone) return;
  delete sessionStorage.window;
  session.done = [];
  await beAlone();
}

await beAlone();
desk = await askJson("/api/desk").catch((error) => {
  say(error.message, { bad: true, seconds: 3600 });
  throw error;
});
if (sessionStorage.sitting !== desk.sitting) session.done = [];
sessionStorage.sitting = desk.sitting;
questions = desk.questions.map((entry, i) => new Question(entry, i, { chosen: () => mark(i, { pointed: true }), answered: advance, grow }));
$("#questions").append(...questions.map(({ element }) => element));
document.title = `${desk.data}: labels`;
$("#title").textContent = desk.data;
$("#train").textContent = desk.train;
$("#quick").checked = localStorage.quick === undefined ? questions.length === 1 : localStorage.quick === "true";
await talk(async () => took(await post("/api/next", {})));
document.body.dataset.ready = "true";
