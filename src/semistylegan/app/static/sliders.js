// The page with sliders. All that the user did is in `state`; each change goes: state -> controls at once, picture as
// soon as the server has drawn it. The newest state wins; what lies between is never asked for.

import { $, Latest, Refusal, ask, askJson, copy, download, held, keyName, keys, make, say, takeFiles } from "/static/base.js";
import { Control } from "/static/controls.js";
import { Tiles } from "/static/tiles.js";
import { Factor } from "/static/units.js";

const VIEWS = ["one", "z", "two"];
const SIDE = 5; // of the grid of other samples
const ACROSS = 7; // most values along a side of the grid of two factors
const IN_STRIP = 12;
const STEPS = 200; // of a search where none are asked for
const LARGEST_SEED = 2 ** 31 - 1; // what `generate --seed` takes

const model = await askJson("/api/model").catch((error) => {
  say(error.message, { bad: true, seconds: 3600 });
  throw error;
});
const factors = model.factors.map((entry) => new Factor(entry));
const byName = new Map(factors.map((factor) => [factor.name, factor]));

// -- state ---------------------------------------------------------------------------------------------------------

/** What is undone and redone. `edits` are the values set on a dropped image, `values` those of a drawn one. */
let state = { seed: 0, values: {}, locks: [], image: null, edits: {} };
let base = {}; // values where none is set: drawn for the seed, or found in the image
let active = factors[0]?.name ?? null;
let view = "one";
let axes = [factors[0]?.name, factors[Math.min(1, factors.length - 1)]?.name];
let reads = false; // whether the encoder's reading is marked
let reading = null; // what it read off the picture that is shown
let comparing = false;
const images = new Map(); // name -> { file, read, found, thumb }
const bases = new Map(); // seed -> values drawn for it
const past = { states: [], here: -1 };

const settings = () => (state.image ? state.edits : state.values);
const valueOf = (name) => held(settings(), name) ?? held(base, name);
const searching = () => state.image !== null && !images.get(state.image)?.found;
// An editor without images of its own (the bare checkpoint of a preset fine) has nothing to show until one is dropped.
const idle = () => state.image === null && !model.draws;
const clone = (value) => structuredClone(value);
const same = (a, b) => JSON.stringify(a) === JSON.stringify(b);
const pictureOf = (more = {}) => ({ seed: state.seed, values: { ...settings(), ...more } });

async function baseOf({ seed, image }) {
  if (image) return images.get(image)?.found ?? images.get(image)?.read ?? {};
  if (!model.draws) return Object.fromEntries(factors.map((factor) => [factor.name, factor.valueOf(0.5)]));
  if (!bases.has(seed)) {
    if (bases.size > 500) bases.clear();
    bases.set(seed, await askJson(`/api/draw?seed=${seed}`));
  }
  return bases.get(seed);
}

let turn = 0;
let coming = null; // the state that `become` is about to make the state
let arrival = null; // a promise: until then
let resting = null; // a change by keys that is not in `past` yet: { name, timer }

/** Makes `next` the state once its base is known, unless something newer came; `keep` adds it to what can be undone. */
const become = (next, options) => (arrival = arrive(next, options));

async function arrive(next, { keep = true } = {}) {
  settle();
  const mine = ++turn;
  coming = next;
  try {
    const found = await baseOf(next);
    if (mine !== turn) return;
    coming = null;
    const other = next.image !== state.image;
    [state, base] = [next, found];
    if (other) {
      reading = null;
      comparing = false;
      $("#compare").setAttribute("aria-pressed", "false");
      showGiven();
    }
    if (keep) commit();
    else settled();
    preview();
    if (searching()) search(state.image);
  } catch (error) {
    if (mine === turn) coming = null;
    failed(error);
  }
}

/** Waits until nothing is on its way: what changes the whole state would bring the old one back. */
async function arrived() {
  while (coming) await arrival;
}

/** Keeps what keys have changed. */
function settle() {
  if (resting) commit();
}

/** Adds the state to what can be undone. */
function commit() {
  clearTimeout(resting?.timer);
  resting = null;
  const now = clone(state);
  if (!same(now, past.states[past.here])) {
    past.states.splice(past.here + 1, Infinity, now);
    if (past.states.length > 500) past.states.shift();
    past.here = past.states.length - 1;
  }
  settled();
}

async function travel(steps) {
  await arrived();
  settle();
  const there = past.states[past.here + steps];
  if (!there) return;
  past.here += steps;
  become(clone(there), { keep: false });
}

// -- what the user does ----------------------------------------------------------------------------------------------

function set(name, value) {
  if (searching() || idle()) return;
  if (resting && resting.name !== name) settle();
  settings()[name] = value;
  if (coming && coming.image === state.image) (coming.image ? coming.edits : coming.values)[name] = value;
  preview();
}

async function reset(names) {
  await arrived();
  settle();
  const next = clone(state);
  for (const name of names) {
    delete (next.image ? next.edits : next.values)[name];
    if (!next.image) next.locks = next.locks.filter((locked) => locked !== name);
  }
  become(next);
}

async function lock(names, on) {
  await arrived();
  if (state.image) return;
  settle();
  for (const name of names) if (on) state.values[name] = held(state.values, name) ?? byName.get(name).round(valueOf(name));
  state.locks = on ? [...new Set([...state.locks, ...names])] : state.locks.filter((name) => !names.includes(name));
  commit();
  preview();
}

function newSample(seed = Math.floor(Math.random() * 100_000)) {
  if (state.image || !model.draws) return;
  const values = Object.fromEntries(state.locks.map((name) => [name, state.values[name]]));
  become({ ...clone(state), seed, values });
}

/** Up is more, but for classes: there it is the one before, as they are read. */
function step(direction, fine, upright) {
  const factor = byName.get(active);
  if (!factor || searching() || idle()) return;
  if (upright && factor.isClass) direction = -direction;
  set(active, factor.next(valueOf(active), direction, fine));
  // A held key is one change: it is kept once it has come to rest.
  clearTimeout(resting?.timer);
  resting = { name: active, timer: setTimeout(settle, 300) };
}

function end(direction) {
  const factor = byName.get(active);
  if (!factor || searching() || idle()) return;
  set(active, factor.ends[direction < 0 ? 0 : 1]);
  commit();
}

function choose(name, { focus = false } = {}) {
  if (!byName.has(name)) return;
  const changed = name !== active;
  active = name;
  if (focus) controls.get(name).focus();
  if (changed) {
    showControls();
    settled();
  }
}

function neighbour(by) {
  const place = factors.findIndex((factor) => factor.name === active) + by;
  if (factors[place]) choose(factors[place].name, { focus: true });
}

function show(which) {
  if (idle()) which = "one";
  if (state.image && which === "z") which = "two";
  if (factors.length < 2 && which === "two") which = "one";
  view = which;
  settled();
}

// -- the picture -------------------------------------------------------------------------------------------------------

const canvas = $("#picture");
canvas.width = canvas.height = model.resolution;
canvas.classList.toggle("px", model.resolution <= 64);
const pen = canvas.getContext("2d");

const picture = new Latest(
  async (wanted) => {
    const response = await ask("/api/pictures", { json: wanted });
    const read = response.headers.get("x-read");
    return { bitmap: await createImageBitmap(await response.blob()), read: read && JSON.parse(read) };
  },
  ({ bitmap, read }, wanted) => {
    if (wanted.image !== state.image || comparing) return;
    pen.drawImage(bitmap, 0, 0);
    canvas.classList.remove("old");
    canvas.dataset.shown = JSON.stringify({ ...wanted.pictures[0], ...(state.image && { image: state.image }) });
    if (!state.image) {
      reading = read;
      if (reads) showControls();
    }
  },
  (error) => {
    canvas.classList.add("old"); // it shows something else than the controls say
    failed(error);
  },
);

/** Shows the state in the controls at once and asks for its picture. */
function preview() {
  showControls();
  if (idle()) return pen.clearRect(0, 0, canvas.width, canvas.height);
  if (comparing || searching()) drawGiven();
  else picture.want({ image: state.image, pictures: [clone(pictureOf())], read: reads && !state.image });
  if (view !== "one") showGrid();
}

async function drawGiven() {
  const image = images.get(state.image);
  if (!image) return;
  pen.drawImage(await createImageBitmap(image.thumb), 0, 0, canvas.width, canvas.height);
  canvas.classList.remove("old");
}

function failed(error) {
  if (error instanceof Refusal && error.status === 404 && state.image) return leave(error.message);
  say(error.message, { bad: true });
}

// -- controls ----------------------------------------------------------------------------------------------------------

const controls = new Map(
  factors.map((factor, place) => [
    factor.name,
    new Control(
      factor,
      {
        input: (value) => set(factor.name, value),
        commit,
        lock: () => lock([factor.name], !state.locks.includes(factor.name)),
        reset: () => reset([factor.name]),
        chosen: () => choose(factor.name),
        refused: (text) => say(`${factor.name}: ${text || "nothing"} does not fit; it takes ${factor.span}`, { bad: true }),
      },
      place,
    ),
  ]),
);
$("#factors").append(...[...controls.values()].map((control) => control.element));
$("#factors").addEventListener("submit", (event) => event.preventDefault());

function showControls() {
  const read = state.image ? images.get(state.image)?.read : reads ? reading : null;
  for (const [name, control] of controls) {
    const value = valueOf(name);
    if (value === undefined) continue;
    const set = Object.hasOwn(settings(), name);
    control.show({ value, set, locked: !state.image && state.locks.includes(name), read: held(read, name) ?? null, active: name === active });
  }
  strip.mark(filmed.name === active && byName.has(active) ? byName.get(active).nearest(filmed.values, valueOf(active)) : -1);
}

// -- strip and grids -----------------------------------------------------------------------------------------------------

const strip = new Tiles($("#strip"), model.resolution, failed);
const grid = new Tiles($("#grid"), model.resolution, failed);
let filmed = { name: null, values: [] }; // the factor in the strip, and its values there

function showStrip() {
  const factor = byName.get(active);
  $("#film").hidden = !factor || searching() || idle() || view !== "one";
  if ($("#film").hidden) return;
  const values = factor.samples(IN_STRIP, valueOf(active));
  filmed = { name: active, values };
  const cells = values.map((value) => ({
    picture: pictureOf({ [active]: value }),
    label: factor.show(value),
    name: `${factor.name} ${factor.show(value)}`,
    press: () => {
      set(factor.name, value);
      commit();
    },
  }));
  $("#filmname").textContent = factor.name;
  $("#strip").setAttribute("aria-label", `${factor.name} from ${factor.show(values[0])} to ${factor.show(values.at(-1))}`);
  strip.show({ key: JSON.stringify([state.image, cells.map((cell) => cell.picture)]), image: state.image, cells });
  strip.mark(factor.nearest(values, valueOf(active)));
}

function showGrid() {
  const place = $("#grid");
  place.className = view;
  if (view === "z") {
    const values = Object.fromEntries(factors.map(({ name }) => [name, valueOf(name)]));
    const cells = Array.from({ length: SIDE * SIDE }, (_, i) => {
      const seed = i === 0 ? state.seed : (state.seed + i) % LARGEST_SEED;
      return {
        picture: { seed, values },
        label: "",
        name: i === 0 ? "this sample" : `sample ${seed}`,
        press: () => {
          view = "one";
          become({ ...clone(state), seed, values: i === 0 ? state.values : values });
        },
      };
    });
    place.style.setProperty("--columns", SIDE);
    grid.show({ key: JSON.stringify(cells.map((cell) => cell.picture)), image: null, cells });
    grid.mark(0);
  } else if (view === "two") {
    const [down, across] = axes.map((name) => byName.get(name));
    const [rows, columns] = [down, across].map((factor) => factor.samples(ACROSS, valueOf(factor.name)));
    const cells = rows.flatMap((row, r) =>
      columns.map((column, c) => ({
        picture: pictureOf({ [down.name]: row, [across.name]: column }),
        label: r === rows.length - 1 ? across.show(column) : "",
        side: c === 0 ? down.show(row) : "",
        name: `${down.name} ${down.show(row)}, ${across.name} ${across.show(column)}`,
        press: () => {
          view = "one";
          set(down.name, row);
          set(across.name, column);
          commit();
        },
      })),
    );
    place.style.setProperty("--columns", columns.length);
    grid.show({ key: JSON.stringify([state.image, cells.map((cell) => cell.picture)]), image: state.image, cells });
    const [row, column] = [down.nearest(rows, valueOf(down.name)), across.nearest(columns, valueOf(across.name))];
    grid.mark(row < 0 || column < 0 ? -1 : row * columns.length + column);
  }
}

/** What was pressed and is disabled or hidden now hands the focus on: else the next Tab begins at the top of the page. */
function keepFocus() {
  const pressed = document.activeElement;
  if (!pressed.disabled && pressed.checkVisibility()) return;
  const twin = { undo: $("#redo"), redo: $("#undo") }[pressed.id];
  const control = controls.get(pressed.closest("[data-factor]")?.dataset.factor);
  (twin && !twin.disabled ? twin : (control ?? $("#shown"))).focus({ preventScroll: true });
}

// -- all that is not the picture: shown once things have come to rest -----------------------------------------------------

let soon;
function settled() {
  showControls();
  for (const tab of $("#views").children) {
    const here = tab.dataset.view === view;
    tab.setAttribute("aria-selected", String(here));
    tab.tabIndex = here ? 0 : -1;
  }
  $("#tab-z").disabled = state.image !== null || idle();
  $("#tab-two").disabled = factors.length < 2 || idle();
  $("#one").hidden = view !== "one";
  $("#grid").hidden = view === "one";
  $("#axes").hidden = view !== "two";
  $("#undo").disabled = past.here <= 0;
  $("#redo").disabled = past.here >= past.states.length - 1;
  document.body.classList.toggle("editing", state.image !== null);
  $("#sample").hidden = state.image !== null || !model.draws;
  $("#take .row").hidden = $("#line").hidden = idle();
  $("#given").hidden = state.image === null;
  if (!model.draws) $("#drophere").hidden = !idle();
  $("#factors").inert = searching() || idle();
  $("#factors").ariaBusy = String(searching());
  if (document.activeElement !== $("#seed")) {
    $("#seed").value = state.seed;
    $("#seed").removeAttribute("aria-invalid");
  }
  $("#lockall").hidden = state.image !== null;
  $("#lockall").setAttribute("aria-pressed", String(factors.length > 0 && state.locks.length === factors.length));
  $("#resetall").disabled = !Object.keys(settings()).length;
  $("#reading").setAttribute("aria-pressed", String(reads || state.image !== null));
  $("#reading").disabled = state.image !== null;
  $("#gif").disabled = !active || searching();
  $("#gif").textContent = `GIF of ${active ?? "nothing"}`;
  $("#line").textContent = python();
  keepFocus();
  canvas.setAttribute("aria-label", `Picture: ${factors.map((f) => `${f.name} ${f.show(valueOf(f.name) ?? f.low)}`).join(", ")}`);
  const address = addressOf();
  if (address !== location.hash) history.replaceState(null, "", address);
  clearTimeout(soon);
  soon = setTimeout(() => {
    showStrip();
    if (view !== "one") showGrid();
  }, 90);
}

// -- the address, and lines to copy ----------------------------------------------------------------------------------------

const escapeHash = (text) => encodeURIComponent(text).replaceAll("%20", "+");

/** #seed=7&set.hue=210&lock=hue: what is drawn, to be kept or sent. A dropped image is not in it. */
function addressOf() {
  const parts = [`seed=${state.seed}`];
  for (const [name, value] of Object.entries(state.values)) parts.push(`set.${escapeHash(name)}=${escapeHash(value)}`);
  for (const name of state.locks) parts.push(`lock=${escapeHash(name)}`);
  return `#${parts.join("&")}`;
}

/** The state that an address asks for; what does not fit is left out, with a note. */
function stateOf(address) {
  const out = { seed: 0, values: {}, locks: [], image: null, edits: {} };
  for (const [key, text] of new URLSearchParams(address.replace(/^#/, ""))) {
    const factor = byName.get(key.startsWith("set.") ? key.slice(4) : key === "lock" ? text : "");
    const value = factor && (factor.isClass ? (factor.categories.includes(text) ? text : null) : factor.parse(text));
    if (key === "seed" && /^\d{1,16}$/.test(text) && Number(text) <= LARGEST_SEED) out.seed = Number(text);
    else if (key.startsWith("set.") && factor && value !== null) out.values[factor.name] = value;
    else if (key === "lock" && factor) out.locks.push(factor.name);
    else say(`The address asks for ${key}=${text}, which does not fit this model.`, { bad: true });
  }
  out.locks = out.locks.filter((name) => Object.hasOwn(out.values, name));
  return out;
}

const quote = (word) => (/^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'"'"'`)}'`);

function python() {
  const dict = `{${Object.entries(settings()).map(([name, value]) => `${JSON.stringify(name)}: ${JSON.stringify(value)}`).join(", ")}}`;
  const load = `ssg.load(${JSON.stringify(model.given)}${model.device && `, device=${JSON.stringify(model.device)}`})`;
  if (!state.image) return `import semistylegan as ssg\nimage = ${load}.generate(${dict === "{}" ? "" : `${dict}, `}seed=${state.seed})[0]`;
  const file = JSON.stringify(images.get(state.image)?.file ?? "image.png");
  return `import semistylegan as ssg\nfrom semistylegan.data.pictures import load_image\nimage = ${load}.edit(load_image(${file}), ${dict}${model.steps === STEPS ? "" : `, steps=${model.steps}`})`;
}

function command() {
  const sets = Object.entries(settings()).map(([name, value]) => ` --set${name.startsWith("-") ? "=" : " "}${quote(`${name}=${value}`)}`).join("");
  const device = model.device && ` --device ${model.device}`;
  if (!state.image) return `semistylegan generate ${model.quoted}${sets} --seed ${state.seed} --count 1${device} --out picture.png`;
  const file = quote(images.get(state.image)?.file ?? "image.png");
  if (!sets) return `semistylegan encode ${model.quoted} ${file}${device}`;
  return `semistylegan edit ${model.quoted} ${file}${sets}${model.steps === STEPS ? "" : ` --steps ${model.steps}`}${device} --out edited.png`;
}

async function save(kind) {
  try {
    const stem = state.image ? images.get(state.image).file.replace(/\.\w+$/, "-edited") : `${model.name}-${state.seed}`;
    if (kind === "png") {
      const answer = searching() ? images.get(state.image).thumb : await (await ask("/api/pictures", { json: { image: state.image, pictures: [pictureOf()] } })).blob();
      download(answer, `${stem}.png`);
    } else if (active) {
      download(await (await ask("/api/gif", { json: { ...pictureOf(), factor: active, image: state.image } })).blob(), `${stem}-${active}.gif`);
    }
  } catch (error) {
    failed(error);
  }
}

// -- an image that is dropped ----------------------------------------------------------------------------------------------

let taken = 0; // images that were dropped: the last one is shown, whichever answer comes first

async function take(file) {
  if (!file) return;
  const mine = ++taken;
  try {
    say(`Reading ${file.name}`, { seconds: 1 });
    const body = await file.arrayBuffer().catch(() => {
      throw new Refusal(400, `${file.name} cannot be read: give an image file.`);
    });
    const { image, read } = await askJson("/api/images", { body });
    const thumb = await (await ask(`/api/images/${image}/picture`)).blob();
    await arrived();
    if (mine !== taken) return;
    images.set(image, { file: file.name, read, found: null, thumb });
    if (view === "z") view = "one";
    await become({ ...clone(state), image, edits: {} });
  } catch (error) {
    failed(error);
  }
}

/** Searches for the image while it is on the page. */
async function search(image) {
  const mine = images.get(image);
  if (mine.searching) return;
  Object.assign(mine, { searching: true, error: "" });
  try {
    let at = await insist(image, `/api/images/${image}/search`, { method: "POST" });
    while (at && !at.found) {
      if (at.error) throw new Refusal(400, at.error);
      mine.done = at.done;
      showGiven();
      await new Promise((go) => setTimeout(go, 150));
      at = await insist(image, `/api/images/${image}`);
    }
    mine.found = at && at.found;
  } catch (error) {
    mine.error = error.message;
    if (state.image === image) failed(error);
  }
  mine.searching = false;
  if (state.image !== image) return;
  showGiven();
  if (!mine.found) return;
  base = mine.found;
  settled();
  preview();
}

/** Asks until there is an answer: the server may be busy, or away for a moment. Null once the image is left. */
async function insist(image, path, options) {
  while (state.image === image) {
    try {
      return await askJson(path, options);
    } catch (error) {
      if (![0, 503].includes(error.status)) throw error;
      say(error.message, { bad: true });
      await new Promise((go) => setTimeout(go, 2000));
    }
  }
  return null;
}

function showGiven() {
  const image = images.get(state.image);
  if (!image) return;
  if ($("#thumb").dataset.of !== state.image) {
    $("#thumb").dataset.of = state.image;
    $("#thumb").classList.toggle("px", model.resolution <= 64);
    const url = URL.createObjectURL(image.thumb);
    $("#thumb").onload = () => URL.revokeObjectURL(url);
    $("#thumb").src = url;
  }
  $("#filename").textContent = image.file;
  $("#progress").hidden = image.found !== null || Boolean(image.error);
  $("#progress").value = image.done ?? 0;
  const told = "What the encoder reads is marked on each control.";
  const far = image.error ? `The search for the image failed: ${image.error}` : "Searching for the image in the model, to change it…";
  $("#status").textContent = `${told} ${image.found ? "Move one to change the image." : far}`;
  $("#compare").disabled = !image.found;
}

function leave(reason) {
  if (!state.image) return;
  if (typeof reason === "string") say(reason, { bad: true });
  become({ ...clone(state), image: null, edits: {} });
}

function compare(on) {
  if (comparing === on || !state.image) return;
  comparing = on;
  $("#compare").setAttribute("aria-pressed", String(on));
  preview();
}

let holds = false; // whether a key holds the comparison
const hold = () => compare((holds = true));
const letGo = () => holds && compare((holds = false));

$("#drophere").hidden = model.draws;
takeFiles(take, idle);
document.addEventListener("paste", (event) => {
  const file = [...event.clipboardData.files].find(({ type }) => type.startsWith("image/"));
  if (file) take(file);
});

// -- buttons and keys -------------------------------------------------------------------------------------------------------

function toggleReading() {
  if (state.image) return;
  reads = !reads;
  reading = null;
  settled();
  preview();
}

const lockAll = () => lock(factors.map(({ name }) => name), state.locks.length < factors.length);
const on = (id, action) => $(id).addEventListener("click", () => action());
on("#new", newSample);
on("#undo", () => travel(-1));
on("#redo", () => travel(1));
on("#lockall", lockAll);
on("#resetall", () => reset(factors.map(({ name }) => name)));
on("#reading", toggleReading);
on("#png", () => save("png"));
on("#gif", () => save("gif"));
on("#python", () => copy(python(), "Python"));
on("#command", () => copy(command(), "Command"));
on("#open", () => $("#file").click());
on("#leave", leave);
on("#compare", () => compare(!comparing));
on("#help", () => $("#keys").showModal());
on("#keys-close", () => $("#keys").close());
for (const tab of $("#views").children) tab.addEventListener("click", () => show(tab.dataset.view));
$("#views").addEventListener("keydown", (event) => {
  const by = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
  if (!by) return;
  event.preventDefault();
  const open = [...$("#views").children].filter((tab) => !tab.disabled);
  const tab = open[(open.findIndex(({ dataset }) => dataset.view === view) + by + open.length) % open.length];
  show(tab.dataset.view);
  tab.focus();
});
$("#seed").addEventListener("change", () => {
  const text = $("#seed").value.trim();
  const fits = /^\d{1,16}$/.test(text) && Number(text) <= LARGEST_SEED;
  $("#seed").setAttribute("aria-invalid", String(!fits));
  if (fits) newSample(Number(text));
  else say(`Seed ${text || "nothing"}: give a whole number from 0 to ${LARGEST_SEED}.`, { bad: true });
});
$("#seed").addEventListener("keydown", (event) => event.key === "Enter" && $("#seed").blur());
[$("#down"), $("#across")].forEach((select, i) => {
  select.append(...factors.map(({ name }) => make("option", { value: name }, name)));
  select.value = axes[i];
  select.addEventListener("change", () => {
    axes[i] = select.value;
    if (axes[0] === axes[1]) axes[1 - i] = factors.find(({ name }) => name !== select.value).name;
    [$("#down").value, $("#across").value] = axes;
    settled();
  });
});

keys(
  {
    arrowright: () => step(1), arrowleft: () => step(-1),
    "shift+arrowright": () => step(1, true), "shift+arrowleft": () => step(-1, true),
    arrowup: () => step(1, false, true), arrowdown: () => step(-1, false, true),
    "shift+arrowup": () => step(1, true, true), "shift+arrowdown": () => step(-1, true, true),
    home: () => end(-1), end: () => end(1),
    j: () => neighbour(1), k: () => neighbour(-1),
    l: () => lock([active], !state.locks.includes(active)),
    r: () => active && reset([active]), "shift+r": () => reset(factors.map(({ name }) => name)),
    n: () => newSample(), g: () => show(VIEWS[(VIEWS.indexOf(view) + 1) % VIEWS.length]),
    z: () => travel(-1), "mod+z": () => travel(-1),
    "shift+z": () => travel(1), "mod+shift+z": () => travel(1), "mod+y": () => travel(1),
    e: toggleReading, o: () => $("#file").click(), c: hold, escape: () => leave(),
    p: () => save("png"), y: () => copy(python(), "Python"),
    "?": () => $("#keys").showModal(),
    ...Object.fromEntries(factors.slice(0, 9).map(({ name }, i) => [String(i + 1), () => choose(name, { focus: true })])),
  },
  // Arrows belong to the tabs while one of them has the focus.
  { before: (event) => !(event.target.closest?.("#views") && event.key.startsWith("Arrow")) },
);
document.addEventListener("keyup", (event) => keyName(event).endsWith("c") && letGo());
window.addEventListener("blur", letGo); // the key is let go elsewhere
window.addEventListener("hashchange", () => location.hash !== addressOf() && become(stateOf(location.hash)));

// -- start ----------------------------------------------------------------------------------------------------------------

$("#progress").max = model.steps;
document.title = `${model.title}: sliders`;
$("#title").textContent = model.title;
$("#about").textContent = `${model.resolution} × ${model.resolution} pixels, ${factors.length} factor${factors.length === 1 ? "" : "s"}`;
const first = stateOf(location.hash);
if (!location.hash) first.seed = Math.floor(Math.random() * 100_000);
await become(first);
document.body.dataset.ready = "true";
