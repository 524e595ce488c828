// The published page: sliders -> code -> G, in this browser. No server is asked for anything but the files beside this one.

import { $, Latest, download, held, keys, make, say, takeFiles } from "/static/base.js";
import { Control } from "/static/controls.js";
import { Factor } from "/static/units.js";

const SLOW = 40; // milliseconds: a picture that takes longer is worth the larger download of WebGPU
const wanted = new URLSearchParams(location.search).get("backend"); // ?backend=wasm or webgpu chooses by hand

/** A network: `run({z, code}) -> Float32Array`. WebAssembly, or WebGPU. */
async function network(file, backend) {
  const ort = await import(backend === "webgpu" ? "./ort.webgpu.js" : "./ort.wasm.js");
  const wasm = backend === "webgpu" ? "./ort-wasm-simd-threaded.asyncify.wasm" : "./ort-wasm-simd-threaded.wasm";
  ort.env.wasm.numThreads = 1; // more need headers that a static server does not send
  ort.env.wasm.wasmPaths = { wasm: new URL(wasm, import.meta.url).href };
  ort.env.logLevel = "error";
  const session = await ort.InferenceSession.create(file, { executionProviders: [backend], logSeverityLevel: 3 });
  return async (inputs) => {
    const feeds = Object.fromEntries(Object.entries(inputs).map(([name, { data, dims }]) => [name, new ort.Tensor("float32", data, dims)]));
    const outputs = await session.run(feeds);
    return outputs[session.outputNames[0]].data;
  };
}

/** Standard normal numbers of a seed: the same on every machine. */
function normal(seed, count) {
  let state = seed >>> 0;
  const uniform = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let x = Math.imul(state ^ (state >>> 15), state | 1);
    x ^= x + Math.imul(x ^ (x >>> 7), x | 61);
    return ((x ^ (x >>> 14)) >>> 0) / 4294967296;
  };
  return Float32Array.from({ length: count }, () => Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform()));
}

/** Says where the picture would be why there is none. */
const failed = (error) => $("#loading").replaceChildren(make("p", {}, `The model could not be started: ${error.message}`));

// Asked for anew each time: it says which networks belong to it, so that a cache mixes none of them with others.
const about = await fetch("./model.json", { cache: "no-cache" })
  .then((answer) => (answer.ok ? answer.json() : Promise.reject(new Error(`the server answered ${answer.status} for model.json`))))
  .catch((error) => {
    failed(error);
    throw error;
  });
const { resolution: side, channels } = about;
const addressOf = (name) => `./${name}?v=${about.sha256[name].slice(0, 16)}`;
const factors = about.factors.map((entry) => new Factor({ ...entry, low: entry.range?.[0], high: entry.range?.[1], unit: entry.unit ?? "" }));
const canvas = $("#picture");
canvas.width = canvas.height = side;
canvas.classList.toggle("px", side <= 128);

// -- state -----------------------------------------------------------------------------------------------------------

let seed = 0;
let base = {}; // drawn for the seed, or read off the image that was dropped
let set = {}; // set by hand
let read = {}; // what E reads off the image that was dropped
let said = new Float32Array(about.code); // the same as E says it
let given = null; // that image as the networks see it; an editor starts from it
let generate = null;
let encode = null;

const valueOf = ({ name }) => held(set, name) ?? held(base, name);

function sample(next = Math.floor(Math.random() * 2 ** 31)) {
  seed = next;
  const chance = normal(seed + 1, 2 * factors.length).map((x) => 0.5 + 0.5 * Math.tanh(0.8 * x));
  const row = about.prior?.[Math.min(about.prior.length - 1, Math.floor(chance[factors.length] * about.prior.length))];
  base = Object.fromEntries(
    factors.map((factor, i) => {
      if (row && row[i] !== null) return [factor.name, factor.valueOf(row[i])];
      if (factor.isClass) return [factor.name, factor.categories[Math.min(factor.size - 1, Math.floor(chance[i] * factor.size))]];
      const ticks = factor.ticks;
      return [factor.name, factor.valueOf(ticks.length ? ticks[Math.min(ticks.length - 1, Math.floor(chance[i] * ticks.length))] : chance[i])];
    }),
  );
  set = {};
  read = {};
  changed();
}

/** Values -> code: a number (scalar) or its place between its values (`as_classes`), one-hot (class), or a point on a
 * circle of diameter 1 (angle). What nobody has set of an image that is edited stays as E says it. */
function code() {
  const out = new Float32Array(about.code);
  factors.forEach((factor, i) => {
    const [start] = about.factors[i].code;
    if (about.start === "image" && !Object.hasOwn(set, factor.name)) return out.set(soft(factor, saidOf(i)), start);
    const level = factor.levelOf(valueOf(factor));
    if (factor.isClass) out[start + level] = 1;
    else if (factor.isRound) [out[start], out[start + 1]] = [0.5 * Math.cos(2 * Math.PI * level), 0.5 * Math.sin(2 * Math.PI * level)];
    else if (factor.as_classes) {
      for (let k = 0; k < factor.size; k++) out[start + k] = Math.max(0, 1 - Math.abs(level * (factor.size - 1) - k));
    } else out[start] = level;
  });
  return out;
}

/** What E says of the factor at place i. */
const saidOf = (i) => [...said.slice(...about.factors[i].code)];

/** What E says, as a code: softmax over the entries of classes, the rest as it is. */
function soft(factor, said) {
  if (!factor.isClass && !factor.as_classes) return said;
  const most = Math.max(...said);
  const parts = said.map((x) => Math.exp(x - most));
  const sum = parts.reduce((a, b) => a + b);
  return parts.map((x) => x / sum);
}

/** What E says -> values: the largest class, the angle, the number within its range. */
const values = () => Object.fromEntries(factors.map((factor, i) => [factor.name, factor.valueOf(levelOfSaid(factor, saidOf(i)))]));

function levelOfSaid(factor, said) {
  const largest = said.indexOf(Math.max(...said));
  if (factor.isClass) return largest;
  if (factor.as_classes) return largest / (factor.size - 1);
  return factor.isRound ? Math.atan2(said[1], said[0]) / (2 * Math.PI) : Math.min(1, Math.max(0, said[0]));
}

// -- pictures ----------------------------------------------------------------------------------------------------------

const shape = [1, channels, side, side];
const picture = new Latest(() => generate(inputs(seed, given)), draw, recover);

/** WebGPU may be lost at any time, e.g. to a new driver: WebAssembly takes over. */
async function recover(error) {
  if (document.body.dataset.backend !== "webgpu") return say(error.message, { bad: true });
  if (!generate) return; // it is on its way
  generate = null;
  try {
    await use("wasm");
    say("WebGPU stopped working: the page goes on with WebAssembly.");
  } catch (failure) {
    say(`WebGPU stopped working, and WebAssembly could not be started (${failure.message}): reload the page.`, { bad: true });
  }
}

/** What G takes, for a seed or for an image. */
function inputs(seed, image) {
  const start = about.start === "z" ? { z: { data: normal(seed, about.z), dims: [1, about.z] } } : { image: { data: image, dims: shape } };
  const told = about.knows_source ? { said: { data: said, dims: [1, about.code] } } : {};
  return { ...start, code: { data: code(), dims: [1, about.code] }, ...told };
}

function draw(data) {
  const image = new ImageData(side, side);
  const plane = side * side;
  for (let i = 0; i < plane; i++) {
    for (let c = 0; c < 3; c++) image.data[4 * i + c] = Math.round(data[(channels === 1 ? 0 : c * plane) + i] * 127.5 + 127.5);
    image.data[4 * i + 3] = 255;
  }
  canvas.getContext("2d").putImageData(image, 0, 0);
  canvas.dataset.drawn = Number(canvas.dataset.drawn ?? 0) + 1;
}

let active = null;
const controls = factors.map(
  (factor, i) =>
    new Control(
      factor,
      {
        input: (value) => {
          set[factor.name] = value;
          changed();
        },
        commit: () => {},
        lock: () => {},
        reset: () => {
          delete set[factor.name];
          changed();
        },
        refused: (text) => say(`${factor.name}: ${text} does not fit; give ${factor.span}.`, { bad: true }),
        chosen: () => {
          active = i;
          show();
        },
      },
      i,
    ),
);

function show() {
  controls.forEach((control, i) => {
    const factor = factors[i];
    control.show({ value: valueOf(factor), set: Object.hasOwn(set, factor.name), locked: false, read: held(read, factor.name) ?? null, active: i === active });
  });
  $("#resetall").disabled = !Object.keys(set).length;
  canvas.setAttribute("aria-label", `Picture: ${factors.map((factor) => `${factor.name} ${factor.show(valueOf(factor))}`).join(", ")}`);
}

function changed() {
  show();
  if (generate && (about.start === "z" || given)) picture.want();
}

// -- an image that is dropped ---------------------------------------------------------------------------------------------

let taken = 0; // images that were given: the last one is shown, whichever is read first

/** The square in the middle of an image in the size of the networks, RGBA: each pixel is the mean of those that it covers.
 * Browsers that shrink at once may skip pixels. */
function small(image) {
  const least = Math.min(image.width, image.height);
  const [left, top] = [image.width, image.height].map((length) => Math.floor((length - least) / 2));
  const step = least / side;
  const pen = make("canvas", { width: Math.max(least, side), height: Math.max(Math.ceil(step) + 1, side) }).getContext("2d", { willReadFrequently: true });
  pen.fillStyle = "white";
  if (step <= 1) {
    pen.imageSmoothingQuality = "high";
    pen.fillRect(0, 0, side, side);
    pen.drawImage(image, left, top, least, least, 0, 0, side, side);
    return pen.getImageData(0, 0, side, side).data;
  }
  const first = (place) => Math.floor(place * step);
  const last = (place) => Math.min(least, Math.ceil((place + 1) * step));
  const covered = (pixel, place) => (Math.min(pixel + 1, (place + 1) * step) - Math.max(pixel, place * step)) / step;
  const out = new Uint8ClampedArray(4 * side * side).fill(255);
  for (let y = 0; y < side; y++) {
    const rows = last(y) - first(y);
    pen.fillRect(0, 0, least, rows);
    pen.drawImage(image, left, top + first(y), least, rows, 0, 0, least, rows);
    const { data } = pen.getImageData(0, 0, least, rows);
    for (let x = 0; x < side; x++) {
      const sum = [0, 0, 0];
      for (let row = 0; row < rows; row++) {
        for (let column = first(x); column < last(x); column++) {
          const part = covered(first(y) + row, y) * covered(column, x);
          for (let c = 0; c < 3; c++) sum[c] += part * data[4 * (row * least + column) + c];
        }
      }
      out.set(sum, 4 * (y * side + x));
    }
  }
  return out;
}

/** Takes an image: a file, or one that the page came with. */
async function take(file, name = file?.name) {
  if (!file) return;
  const mine = ++taken;
  try {
    const bitmap = await createImageBitmap(file);
    const data = small(bitmap);
    const image = new Float32Array(channels * side * side);
    for (let i = 0; i < side * side; i++) {
      const [r, g, b] = data.slice(4 * i, 4 * i + 3);
      const parts = channels === 1 ? [0.299 * r + 0.587 * g + 0.114 * b] : [r, g, b];
      parts.forEach((value, c) => (image[c * side * side + i] = value / 127.5 - 1));
    }
    encode ??= await network(addressOf("encoder.onnx"), "wasm");
    const heard = await encode({ image: { data: image, dims: shape } });
    if (mine !== taken) return;
    said = heard;
    read = base = values();
    given = image;
    set = {};
    changed();
    examples.forEach((one) => (one.ariaCurrent = one.firstChild === file ? "true" : null));
    say(about.start === "z" ? "The picture shows what the encoder reads: another sample with the same factors." : "Move a slider to change the image.");
  } catch (error) {
    say(`${name} cannot be read as an image (${error.message}).`, { bad: true });
  }
}

takeFiles(take);

// -- images that an editor comes with ------------------------------------------------------------------------------------

let examples = []; // a button each

async function bring(count) {
  const sheet = await createImageBitmap(await (await fetch("./examples.png", { cache: "no-cache" })).blob());
  const columns = sheet.width / side;
  examples = Array.from({ length: count }, (_, i) => {
    const small = make("canvas", { width: side, height: side, class: canvas.className });
    small.getContext("2d").drawImage(sheet, -side * (i % columns), -side * Math.floor(i / columns));
    const name = `Image ${i + 1}`;
    return make("button", { class: "tile", "aria-label": name, onclick: () => take(small, name) }, small);
  });
  $("#examples").append(...examples);
  $("#examples").hidden = false;
}

/** Takes one of them: a click of its button. */
const begin = (i) => examples.at(i % examples.length).click();

// -- start -------------------------------------------------------------------------------------------------------------------

const reset = () => {
  set = {};
  changed();
};
const png = () => canvas.toBlob((blob) => download(blob, "picture.png"));
$("#factors").append(...controls.map(({ element }) => element));
$("#factors").addEventListener("submit", (event) => event.preventDefault());
$("#new").addEventListener("click", () => another());
$("#png").addEventListener("click", png);
$("#resetall").addEventListener("click", reset);
$("#open").addEventListener("click", () => $("#file").click());
/** Up is more, but for classes: there it is the one before, as they are read. */
const step = (direction, fine, upright) => {
  if (active === null) return;
  if (upright && factors[active].isClass) direction = -direction;
  set[factors[active].name] = factors[active].next(valueOf(factors[active]), direction, fine);
  changed();
};
const another = () => (about.start === "z" ? sample() : examples.length && begin(examples.findIndex((one) => one.ariaCurrent) + 1));
keys({
  n: another, p: png, o: () => $("#file").click(), "shift+r": reset,
  arrowright: () => step(1), arrowleft: () => step(-1), "shift+arrowright": () => step(1, true), "shift+arrowleft": () => step(-1, true),
  arrowup: () => step(1, false, true), arrowdown: () => step(-1, false, true),
  "shift+arrowup": () => step(1, true, true), "shift+arrowdown": () => step(-1, true, true),
}, {
  // Up and down scroll the page, but for who is in a control.
  before: ({ target, key }) => !["ArrowUp", "ArrowDown"].includes(key) || Boolean(target.closest?.("#factors")),
});
if (about.start === "image") {
  const count = Number(document.body.dataset.examples);
  if (count) await bring(count).catch((error) => say(`The images to begin with cannot be read (${error.message}).`, { bad: true }));
  $("#new").firstChild.textContent = "Next image ";
  $("#new").hidden = !examples.length;
  $("#invite").lastChild.textContent = ", to change it. It does not leave this browser.";
}
sample(7);

/** Milliseconds of a picture. */
async function time(run) {
  const given = inputs(0, new Float32Array(channels * side * side));
  await run(given);
  const began = performance.now();
  await run(given);
  return performance.now() - began;
}

async function use(backend) {
  const run = await network(addressOf("generator.onnx"), backend);
  const took = await time(run);
  generate = run;
  $("#backend").textContent = `runs in your browser: ${backend === "webgpu" ? "WebGPU" : "WebAssembly"}, ${took < 10 ? took.toFixed(1) : Math.round(took)} ms a picture`;
  document.body.dataset.backend = backend;
  changed();
  return took;
}

try {
  const gpu = wanted !== "wasm" && (await navigator.gpu?.requestAdapter().catch(() => null));
  const took = wanted === "webgpu" && gpu ? await use("webgpu") : await use("wasm");
  $("#loading").hidden = true;
  if (examples.length) begin(0);
  document.body.dataset.ready = "true";
  if (wanted !== "webgpu" && gpu && took > SLOW) await use("webgpu").catch(() => {});
} catch (error) {
  failed(error);
}
