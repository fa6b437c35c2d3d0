// @ts-check
/** Choosing or dropping the files of a study, and sending them to the server in one request. */

import { element } from "./screen.js";

/** @typedef {import("./types").SenderComponent} SenderComponent */
/** @typedef {{name: string, file: File}} Named */

const MEGABYTE = 1024 * 1024;

/** @type {WeakMap<object, Sender>} */
const SENDERS = new WeakMap();

/** Called by Streamlit with each run of the page. @param {SenderComponent} component */
export default function mounted(component) {
  const root = component.parentElement;
  const sender = SENDERS.get(root);
  if (sender && sender.component.data.address === component.data.address) sender.component = component;
  else SENDERS.set(root, new Sender(component));
  return () => {
    SENDERS.get(root)?.close();
    SENDERS.delete(root);
  };
}

class Sender {
  /** @param {SenderComponent} component */
  constructor(component) {
    this.component = component;
    this.sent = 0;
    /** @type {XMLHttpRequest | null} */
    this.request = null;
    this.folder = element("input", { type: "file", hidden: true, multiple: true });
    this.folder.webkitdirectory = true;
    this.files = element("input", { type: "file", hidden: true, multiple: true });
    for (const input of [this.folder, this.files]) {
      input.onchange = () => {
        this.send([...(input.files ?? [])].map((file) => ({ name: file.webkitRelativePath || file.name, file })));
        input.value = "";
      };
    }
    this.chooseFolder = element("button", {
      type: "button",
      textContent: "Choose a folder",
      onclick: () => this.folder.click(),
    });
    this.chooseFiles = element("button", {
      type: "button",
      textContent: "Choose files, or a zip",
      onclick: () => this.files.click(),
    });
    this.text = element("span", { role: "status" });
    this.bar = element("progress", { max: 1, value: 0, hidden: true, "aria-label": "Files sent" });
    this.area = element(
      "div",
      { className: "sender", "data-testid": "study-sender" },
      element("span", { className: "drop", textContent: "Drop a patient's folder, files or a zip here" }),
      element("span", { className: "buttons" }, this.chooseFolder, this.chooseFiles),
      this.bar,
      this.text,
      this.folder,
      this.files,
    );
    this.area.ondragover = (event) => {
      event.preventDefault();
      this.area.classList.add("over");
    };
    this.area.ondragleave = () => this.area.classList.remove("over");
    this.area.ondrop = (event) => {
      event.preventDefault();
      this.area.classList.remove("over");
      const items = [...(event.dataTransfer?.items ?? [])];
      dropped(items).then(
        (named) => this.send(named),
        () => this.say("What was dropped could not be read; choose it with a button instead."),
      );
    };
    component.parentElement.querySelector(".place")?.replaceChildren(this.area);
  }

  close() {
    this.request?.abort();
  }

  /** @param {string} text */
  say(text) {
    this.text.textContent = text;
  }

  /** @param {Named[]} named */
  send(named) {
    if (this.request || named.length === 0) return;
    const list = new TextEncoder().encode(JSON.stringify(named.map(({ name, file }) => [name, file.size])));
    const length = new DataView(new ArrayBuffer(4));
    length.setUint32(0, list.length);
    const body = new Blob([length, list, ...named.map(({ file }) => file)]);
    const files = named.length === 1 ? "1 file" : `${named.length.toLocaleString("en")} files`;
    const request = new XMLHttpRequest();
    this.request = request;
    this.#busy(true);
    this.say(`Sending ${files}`);
    request.upload.onprogress = ({ loaded }) => {
      this.bar.value = loaded / body.size;
      const part = `${Math.round(loaded / MEGABYTE)} of ${Math.round(body.size / MEGABYTE)} MB`;
      this.say(`Sending ${files}: ${part}`);
    };
    request.onload = () => {
      this.#busy(false);
      if (request.status === 204) {
        this.say(`${files[0].toUpperCase()}${files.slice(1)} sent`);
        this.sent += 1;
        this.component.setStateValue("sent", this.sent);
      } else {
        this.say(request.responseText || "The page has been open for too long; load it again.");
      }
    };
    request.onerror = () => {
      this.#busy(false);
      this.say("The files could not be sent: one was changed or removed, or the server does not answer.");
    };
    request.open("POST", new URL(this.component.data.address, document.baseURI));
    request.send(body);
  }

  /** @param {boolean} busy */
  #busy(busy) {
    if (!busy) this.request = null;
    this.bar.value = 0;
    this.bar.hidden = !busy;
    this.chooseFolder.disabled = this.chooseFiles.disabled = busy;
  }
}

/** Every file under what was dropped. @param {DataTransferItem[]} items @returns {Promise<Named[]>} */
async function dropped(items) {
  // All entries first: the list of items is empty as soon as one is waited for. What another program
  // drops may be a file without an entry.
  const parts = items.filter(({ kind }) => kind === "file").map((item) => item.webkitGetAsEntry() ?? item.getAsFile());
  const found = parts.map(async (part) => {
    if (part === null) return [];
    return part instanceof File ? [{ name: part.name, file: part }] : under(part);
  });
  return (await Promise.all(found)).flat();
}

/** @param {FileSystemEntry} entry @returns {Promise<Named[]>} */
async function under(entry) {
  if (entry.isFile) {
    const file = await new Promise((done, fail) => {
      /** @type {FileSystemFileEntry} */ (entry).file(done, fail);
    });
    return [{ name: entry.fullPath.replace(/^\//, ""), file }];
  }
  const reader = /** @type {FileSystemDirectoryEntry} */ (entry).createReader();
  /** @type {Named[]} */
  const found = [];
  for (;;) {
    // A folder is read in parts of a hundred entries, until a part is empty.
    /** @type {FileSystemEntry[]} */
    const part = await new Promise((done, fail) => {
      reader.readEntries(done, fail);
    });
    if (part.length === 0) return found;
    for (const one of part) found.push(...(await under(one)));
  }
}
