// Keeps the recording's chunks in the browser (IndexedDB) until the server has them, so that a reload, or a browser that
// dies while the line is down, loses none. Whoever uses it works without it, too: what cannot be kept is told, not thrown.
//
// What is kept is encrypted with a key that only the page gets, from the server, as long as chunks are taken
// (docs/protocol.md): on a shared computer nobody can read what was left behind, even where no page of ours is opened
// again to delete it. It is deleted once it has arrived, when the candidate takes consent back, when the room refuses it,
// when another person's place is used in this browser, and an hour after it was recorded.

const NAME = "interview-recording";
const [ABOUT, BYTES, ENDS] = ["about", "bytes", "ends"];
export const OLDEST_MS = 60 * 60 * 1000;
/** Encrypted chunks of one room; about 25 minutes of recording. */
export const MOST_KEPT_BYTES = 256 * 1024 * 1024;
const OPENED_WITHIN_MS = 5000;

const result = (request) =>
  new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });

const committed = (transaction) =>
  new Promise((resolve, reject) => {
    transaction.oncomplete = () => resolve();
    transaction.onabort = () => reject(transaction.error);
  });

const inRoom = (room, ...more) => IDBKeyRange.bound([room, ...more], [room, ...more, []]);
const later = (ms, value) => new Promise((resolve) => setTimeout(resolve, ms, value));

function opened() {
  const request = indexedDB.open(NAME, 1);
  request.onupgradeneeded = () => {
    for (const name of [ABOUT, BYTES, ENDS]) request.result.createObjectStore(name);
  };
  return result(request);
}

/** The database, or null where this browser has none, keeps none in private windows, or does not answer. */
async function database() {
  try {
    const found = await Promise.race([opened(), later(OPENED_WITHIN_MS, null)]);
    if (found) found.onversionchange = () => found.close();
    return found;
  } catch {
    return null;
  }
}

const tooOld = ({ at }) => Math.abs(Date.now() - at) > OLDEST_MS; // also where the clock was set back

/** Deletes all for which `goes(room, kept)` is true. */
async function sweep(db, goes) {
  const transaction = db.transaction([ABOUT, BYTES, ENDS], "readwrite");
  for (const name of [ABOUT, ENDS]) {
    const request = transaction.objectStore(name).openCursor();
    request.onsuccess = () => {
      const cursor = request.result;
      if (!cursor) return;
      if (goes(cursor.key[0], cursor.value)) {
        if (name === ABOUT) transaction.objectStore(BYTES).delete(cursor.key);
        cursor.delete();
      }
      cursor.continue();
    };
  }
  await committed(transaction);
}

/** Whether anything was ever kept here; true also where the browser does not say. */
async function exists() {
  try {
    return (await indexedDB.databases()).some(({ name }) => name === NAME);
  } catch {
    return true;
  }
}

/** Deletes what is too old, and all that is kept of `room`, if one is named. */
export async function forget(room = null) {
  const db = (await exists()) ? await database() : null;
  if (!db) return;
  try {
    await sweep(db, (name, kept) => name === room || tooOld(kept));
  } catch {
    // It cannot be read without its key anyway, and is tried again by the next page.
  } finally {
    db.close();
  }
}

class ChunkStore {
  constructor(db, room, who, key) {
    Object.assign(this, { db, room, who, key });
    this.bytes = 0;
    this.cleared = 0;
  }

  /** Binds what is encrypted to its place. */
  label(segment, sequence) {
    return new TextEncoder().encode(`${this.room}/${segment}/${sequence}`);
  }

  /**
   * Whether the chunk is kept now. Without space for it, or without a working database, it is not. `begunS`: when its
   * segment began, in seconds of the interview.
   */
  async put(segment, sequence, blob, begunS = null) {
    const { cleared } = this;
    if (this.bytes + blob.size > MOST_KEPT_BYTES) return false;
    this.bytes += blob.size;
    try {
      const iv = crypto.getRandomValues(new Uint8Array(12));
      const how = { name: "AES-GCM", iv, additionalData: this.label(segment, sequence) };
      const data = await crypto.subtle.encrypt(how, this.key, await blob.arrayBuffer());
      if (cleared !== this.cleared) return false; // taken back meanwhile
      const { room, who } = this;
      const transaction = this.db.transaction([ABOUT, BYTES, ENDS], "readwrite");
      const at = Date.now();
      transaction.objectStore(BYTES).put({ iv, data }, [room, segment, sequence]);
      transaction.objectStore(ABOUT).put({ who, at, size: blob.size, type: blob.type }, [room, segment, sequence]);
      transaction.objectStore(ENDS).put({ who, at, chunks: sequence + 1, begunS }, [room, segment]);
      await committed(transaction);
      return true;
    } catch {
      this.bytes -= blob.size;
      return false;
    }
  }

  /** A chunk that was kept; null where it is not there any more. */
  async get(segment, sequence, type) {
    try {
      const request = this.db.transaction(BYTES).objectStore(BYTES).get([this.room, segment, sequence]);
      const { iv, data } = await result(request);
      const how = { name: "AES-GCM", iv, additionalData: this.label(segment, sequence) };
      return new Blob([await crypto.subtle.decrypt(how, this.key, data)], { type });
    } catch {
      return null;
    }
  }

  async change(names, work) {
    try {
      const transaction = this.db.transaction(names, "readwrite");
      work((name) => transaction.objectStore(name));
      await committed(transaction);
    } catch {
      // Too old in an hour; until then it is sent once more, which changes nothing.
    }
  }

  /** The server has it. */
  remove(segment, sequence, size) {
    this.bytes = Math.max(0, this.bytes - size);
    const key = [this.room, segment, sequence];
    return this.change([ABOUT, BYTES], (store) => [ABOUT, BYTES].forEach((name) => store(name).delete(key)));
  }

  /** The server knows that the segment is whole. */
  removeEnd(segment) {
    return this.change([ENDS], (store) => store(ENDS).delete([this.room, segment]));
  }

  /** Everything of this room. */
  clear() {
    this.cleared += 1;
    this.bytes = 0;
    const names = [ABOUT, BYTES, ENDS];
    return this.change(names, (store) => names.forEach((name) => store(name).delete(inRoom(this.room))));
  }

  /**
   * What an earlier page left, oldest segment first.
   * @returns {Promise<{segment: string, count: number, begunS: number | null, chunks: {sequence: number, size: number, type: string}[]}[]>}
   */
  async rest() {
    try {
      const transaction = this.db.transaction([ABOUT, ENDS]);
      const all = (name) => {
        const store = transaction.objectStore(name);
        return Promise.all([result(store.getAllKeys(inRoom(this.room))), result(store.getAll(inRoom(this.room)))]);
      };
      const [[keys, about], [endKeys, ends]] = await Promise.all([all(ABOUT), all(ENDS)]);
      this.bytes = about.reduce((sum, { size }) => sum + size, 0);
      const chunks = keys.map(([, segment, sequence], n) => ({ segment, sequence, ...about[n] }));
      return endKeys
        .map(([, segment], n) => ({ segment, count: ends[n].chunks, begunS: ends[n].begunS ?? null, at: ends[n].at }))
        .sort((one, other) => one.at - other.at)
        .map((one) => ({ ...one, chunks: chunks.filter(({ segment }) => segment === one.segment) }));
    } catch {
      return [];
    }
  }
}

/**
 * What is kept of a room in this browser.
 * @param {string} room its code
 * @param {{who: string, key: string}} keeping as the page was given: a name of the candidate's place, and a key (base64)
 * @returns {Promise<ChunkStore | null>} null where nothing can be kept
 */
export async function openStore(room, { who, key }) {
  const db = await database();
  if (!db) return null;
  try {
    const raw = Uint8Array.from(atob(key), (letter) => letter.charCodeAt(0));
    const secret = await crypto.subtle.importKey("raw", raw, "AES-GCM", false, ["encrypt", "decrypt"]);
    await sweep(db, (name, kept) => tooOld(kept) || (name === room && kept.who !== who));
    return new ChunkStore(db, room, who, secret);
  } catch {
    db.close();
    return null;
  }
}
