// What all pages share: asking the server, showing only the newest answer, notes to the user, keys.

export const $ = (selector, inside = document) => inside.querySelector(selector);

/** What an object itself holds under a name: a factor may be called "constructor", which every object inherits. */
export const held = (object, name) => (object && Object.hasOwn(object, name) ? object[name] : undefined);

/** An element with properties, attributes and children: make("button", { class: "main" }, "New"). */
export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === false || value === null || value === undefined) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children);
  return element;
}

const PATIENCE = 4; // times that a busy server is asked
const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

let sitting; // of the server that gave out this page

/** What the server said to a request that it did not serve. */
export class Refusal extends Error {
  constructor(status, sentence) {
    super(sentence);
    this.status = status;
  }
}

/**
 * Asks the server; gives the Response. `json` or `body` make it a POST. Waits and asks again where the server is busy.
 * Throws a Refusal with the server's sentence, or with one that says that the server cannot be reached.
 */
export async function ask(path, { json, body, method } = {}) {
  const options = { method: method ?? (json === undefined && body === undefined ? "GET" : "POST") };
  if (json !== undefined) {
    options.body = JSON.stringify(json);
    options.headers = { "content-type": "application/json" };
  } else if (body !== undefined) {
    options.body = body;
    options.headers = { "content-type": "application/octet-stream" };
  }
  for (let tried = 1; ; tried++) {
    let response;
    try {
      response = await fetch(path, options);
    } catch {
      throw new Refusal(0, "The server does not answer. Start it again in the terminal, then reload this page.");
    }
    // Another one at the same address may draw with another model.
    const now = response.headers.get("x-sitting") ?? sitting;
    if ((sitting ??= now) !== now) throw new Refusal(410, "The server was started anew since: reload this page.");
    if (response.ok) return response;
    if (response.status === 503 && tried < PATIENCE) {
      await pause(250 * 2 ** tried * (0.5 + Math.random()));
      continue;
    }
    const said = await response.json().catch(() => ({}));
    throw new Refusal(response.status, said.error ?? `The server answered ${response.status}.`);
  }
}

export const askJson = async (path, options) => (await ask(path, options)).json();

/**
 * Work of which only the newest matters: one request is under way, and the last one asked for meanwhile comes next;
 * those between are never sent.
 *
 *   const picture = new Latest(async (state) => ..., (answer, state) => draw(answer), (error) => say(...));
 *   picture.want(state);
 */
export class Latest {
  constructor(work, done, failed) {
    Object.assign(this, { work, done, failed, running: false, next: null });
  }

  want(input) {
    this.next = { input };
    if (!this.running) this.#go();
  }

  async #go() {
    this.running = true;
    try {
      while (this.next) {
        const { input } = this.next;
        this.next = null;
        try {
          this.done(await this.work(input), input);
        } catch (error) {
          this.failed(error, input);
        }
      }
    } finally {
      this.running = false;
      if (this.next) this.#go(); // `failed` threw
    }
  }
}

// There before the first note: screen readers tell only what comes into a place that they know already.
const notes = make("div", { id: "notes", role: "status", "aria-live": "polite" });
document.body.append(notes);

/** A note at the foot of the page, read out by screen readers; gives its element. */
export function say(text, { bad = false, seconds = bad ? 8 : 3 } = {}) {
  const twin = [...notes.children].find((note) => note.textContent === text);
  twin?.remove();
  const note = make("div", { class: bad ? "note bad" : "note" }, text);
  notes.append(note);
  setTimeout(() => note.remove(), seconds * 1000);
  return note;
}

/**
 * The name of a key press: "n", "shift+z", "mod+z" (Ctrl, or Command on a Mac), "arrowleft", "?". Where a layout has no
 * Latin letter or no figure on a key, what a keyboard of Latin letters has there.
 */
export function keyName(event) {
  const [, letter, figure] = event.code?.match(/^(?:Key([A-Z])|Digit(\d))$/) ?? [];
  const latin = letter && event.key > "\x7f" ? letter : figure && !event.shiftKey ? figure : event.key;
  const key = latin.toLowerCase();
  const shift = event.shiftKey && (key.length > 1 || /[a-z]/.test(key)) ? "shift+" : "";
  return `${event.ctrlKey || event.metaKey ? "mod+" : ""}${event.altKey ? "alt+" : ""}${shift}${key}`;
}

/** Keys of the page: {"n": newSample, ...}. Not while someone types, nor while a dialog is open. */
export function keys(bindings, { before = () => true } = {}) {
  document.addEventListener("keydown", (event) => {
    const types = event.target.matches?.("textarea, select, input:not([type=range], [type=checkbox], [type=radio])");
    const action = bindings[keyName(event)];
    if (!action || types || event.defaultPrevented || $("dialog[open]") || !before(event)) return;
    event.preventDefault();
    action(event);
  });
}

/**
 * Hands `take` the file that is dropped anywhere on the page, or chosen with #file. #drophere shows while one is held over
 * the page, and as long as the page `invites`.
 */
export function takeFiles(take, invites = () => false) {
  const hasFile = (event) => [...(event.dataTransfer?.types ?? [])].includes("Files");
  let over = 0;
  const dragging = (by) => {
    over = by ? Math.max(0, over + by) : 0;
    $("#drophere").hidden = over === 0 && !invites();
  };
  document.addEventListener("dragenter", (event) => hasFile(event) && dragging(1));
  document.addEventListener("dragleave", (event) => hasFile(event) && dragging(-1));
  document.addEventListener("dragover", (event) => hasFile(event) && event.preventDefault());
  document.addEventListener("drop", (event) => {
    if (!hasFile(event)) return;
    event.preventDefault();
    dragging(0);
    take(event.dataTransfer.files[0]);
  });
  $("#file").addEventListener("change", () => {
    take($("#file").files[0]);
    $("#file").value = ""; // the same file may be opened again
  });
}

/** Puts text on the clipboard; says so, or why not. */
export async function copy(text, what) {
  try {
    await navigator.clipboard.writeText(text);
    say(`${what} copied`);
  } catch {
    say("The browser did not allow copying: mark the text and copy it by hand.", { bad: true });
  }
}

/** Hands a Blob to the user as a file. */
export function download(blob, name) {
  const url = URL.createObjectURL(blob);
  make("a", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}
