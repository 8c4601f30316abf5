// What this phone keeps: drafts, records that wait, whom they were about, what was received.
//
// One IndexedDB database for all forms and keys. A change that must not be half done is one
// transaction; a record waiting to be sent is on the disk before anybody is told that it is kept.

import { hear } from './signals.js';

const NAME = 'watphon';
const VERSION = 1;
const SENT_DAYS = 30;
const SENT_MOST = 1000;
const PEOPLE_MOST = 5000;
const LAST = 'last:';

let opening = null;
let open = null; // the database itself, for what cannot wait

/** The database; opened once. Rejects where the browser keeps nothing (some private windows). */
export function database() {
  opening ??= opened().catch((error) => {
    opening = null;
    throw error;
  });
  return opening;
}

function opened() {
  return new Promise((resolve, reject) => {
    const request = indexedDB.open(NAME, VERSION);
    request.onupgradeneeded = () => {
      const made = request.result;
      made.createObjectStore('drafts', { keyPath: 'id' }).createIndex('form', 'form');
      made.createObjectStore('outbox', { keyPath: 'instanceID' });
      made.createObjectStore('people', { keyPath: ['form', 'code'] }).createIndex('at', 'at');
      made.createObjectStore('sent', { keyPath: 'instanceID' }).createIndex('at', 'at');
      made.createObjectStore('notes', { keyPath: 'name' });
    };
    request.onsuccess = () => {
      const found = request.result;
      open = found;
      // another tab with a newer version must not wait for this one
      found.onversionchange = () => {
        found.close();
        opening = open = null;
      };
      found.onclose = () => {
        opening = open = null;
      };
      resolve(found);
    };
    request.onerror = () => reject(request.error);
    request.onblocked = () => reject(new Error('another tab holds an older version open'));
  });
}

/** A request's result. */
export function answer(request) {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

/**
 * Do `act(stores)` in one transaction over `names`; resolves with what `act` returned once it is
 * on the disk. `act` awaits nothing but requests of this transaction.
 */
export async function within(names, mode, act) {
  const db = await database();
  return new Promise((resolve, reject) => {
    const transaction = db.transaction(names, mode, mode === 'readwrite' ? { durability: 'strict' } : {});
    let result;
    transaction.oncomplete = () => resolve(result);
    transaction.onabort = () => reject(transaction.error ?? new Error('the change was not kept'));
    const stores = Object.fromEntries(names.map((name) => [name, transaction.objectStore(name)]));
    Promise.resolve(act(stores)).then(
      (made) => {
        result = made;
      },
      (error) => {
        try {
          transaction.abort();
        } catch {
          // It has ended already.
        }
        reject(error);
      },
    );
  });
}

const read = (name, act) => within([name], 'readonly', (stores) => act(stores[name]));
const write = (name, act) => within([name], 'readwrite', (stores) => act(stores[name]));

/** A note that is kept by name (the phone's id, how many were received, the list of forms). */
export const notes = {
  get: async (name) => (await read('notes', (store) => answer(store.get(name))))?.value,
  set: (name, value) => write('notes', (store) => answer(store.put({ name, value }))),
};

/** The record of this id was handed in before, with other answers. */
export class AlreadySent extends Error {
  constructor(instanceID) {
    super(instanceID);
    this.name = 'AlreadySent';
  }
}

/** The store's parts, once the database can be used. */
export async function openStore() {
  await database();
  return { drafts, outbox, people, sent };
}

const drafts = {
  /**
   * Keep a draft: `{id, form, base, account, version, title, name, at, edit, data, updatedAt}`.
   * Rejects with `AlreadySent` once its record was handed in, here or in another tab.
   */
  save: (draft) =>
    within(['drafts', 'outbox', 'sent'], 'readwrite', async (stores) => {
      if (await handedIn(stores, draft.id)) throw new AlreadySent(draft.id);
      stores.drafts.put(draft);
    }),
  get: (id) => read('drafts', (store) => answer(store.get(id))),
  /** The drafts of a form, or all of them. */
  list: (form) => read('drafts', (store) => answer(form ? store.index('form').getAll(form) : store.getAll())),
  remove: (id) =>
    within(['drafts', 'notes'], 'readwrite', (stores) => {
      stores.drafts.delete(id);
      stores.notes.delete(LAST + id);
    }),
  /**
   * The last words of a page that goes away, which no answer reaches any more: a draft whose
   * `data.xml` is a text, without files. It is on its way when this returns; `recover` makes a
   * draft of it. It waits for no save that is under way: that one has no part in `notes`.
   */
  last(draft) {
    try {
      const transaction = open.transaction(['notes'], 'readwrite', { durability: 'strict' });
      transaction.objectStore('notes').put({ name: LAST + draft.id, value: draft });
      transaction.commit?.();
    } catch (error) {
      console.warn(error); // the save that is under way may still come to its end
    }
  },
  /** Bring drafts up to the last words of pages that went away. */
  recover: () =>
    within(['drafts', 'outbox', 'sent', 'notes'], 'readwrite', async (stores) => {
      const all = IDBKeyRange.bound(LAST, `${LAST}\uffff`);
      for (const { name, value } of await answer(stores.notes.getAll(all))) {
        stores.notes.delete(name);
        const known = await answer(stores.drafts.get(value.id));
        if (known?.updatedAt >= value.updatedAt || (await handedIn(stores, value.id))) continue;
        const data = { xml: new Blob([value.data.xml], { type: 'text/xml' }), files: known?.data.files ?? [] };
        stores.drafts.put({ ...value, data });
      }
    }),
};

/** Whether a record of this id waits or was received. */
async function handedIn(stores, id) {
  return (await Promise.all(['outbox', 'sent'].map((name) => answer(stores[name].getKey(id))))).some(Boolean);
}

const outbox = {
  get: (instanceID) => read('outbox', (store) => answer(store.get(instanceID))),
  /** The records that wait or need attention, the oldest first. */
  list: async () => (await read('outbox', (store) => answer(store.getAll()))).sort((a, b) => a.queuedAt - b.queuedAt),
  /** Call `told()` once when this record has been received; returns how to stop. */
  watch(instanceID, told) {
    const stop = hear((event) => {
      if (event.type === 'received' && event.instanceID === instanceID) done();
    });
    const done = () => {
      stop();
      told();
    };
    sent.get(instanceID).then((found) => found && done(), () => {});
    return stop;
  },
};

const people = {
  /** When this person's code was used for this form on this phone: `{instanceID, at}`. */
  find: (form, code) => read('people', (store) => answer(store.get([form, code]))),
};

const sent = {
  get: (instanceID) => read('sent', (store) => answer(store.get(instanceID))),
  /** What was received from this phone in the last 30 days, the newest first. */
  list: async () => (await read('sent', (store) => answer(store.index('at').getAll()))).reverse(),
  forget: (instanceID) => write('sent', (store) => answer(store.delete(instanceID))),
};

/**
 * Keep a record for sending, note whom it was about and let its draft go: all or nothing. The very
 * same record (`print`) is kept once, however often the button is pressed; rejects with
 * `AlreadySent` where another of its id waits or was received.
 */
export function keepRecord(record, draft) {
  return within(['outbox', 'drafts', 'people', 'sent'], 'readwrite', async (stores) => {
    const before = await Promise.all(['outbox', 'sent'].map((name) => answer(stores[name].get(record.instanceID))));
    const known = before.filter(Boolean);
    if (known.some(({ print }) => !print || print !== record.print)) throw new AlreadySent(record.instanceID);
    if (!known.length) stores.outbox.put(record);
    if (draft) stores.drafts.delete(draft);
    if (!record.person || record.anonymous) return;
    const place = [record.form, record.person];
    const used = await answer(stores.people.get(place));
    // the first use counts; a correction is about the same person
    if (used) return;
    stores.people.put({ form: record.form, code: record.person, instanceID: record.instanceID, at: record.queuedAt });
    thin(stores.people, PEOPLE_MOST);
  });
}

/** Change a waiting record by `change(record)`; nothing where it is gone. */
export function changeRecord(instanceID, change) {
  return write('outbox', async (store) => {
    const record = await answer(store.get(instanceID));
    if (!record) return null;
    const changed = { ...record, ...change(record) };
    store.put(changed);
    return changed;
  });
}

/** The server has a record: it waits no more and is counted, once however often this is said. */
export function received(record, now) {
  return within(['outbox', 'sent', 'notes'], 'readwrite', async (stores) => {
    const still = await answer(stores.outbox.get(record.instanceID));
    if (!still) return false;
    stores.outbox.delete(record.instanceID);
    const count = await countedFor(stores, record.account);
    const { instanceID, base, account, form, version, title, queuedAt, edit, anonymous } = record;
    // of anonymous answers nothing is kept that a guess could be held against
    const [name, print] = anonymous ? ['', null] : [record.name, record.print];
    stores.sent.put({ instanceID, base, account, form, version, title, name, print, queuedAt, at: now, edit, anonymous });
    if (edit) stores.sent.delete(edit);
    stores.notes.put({ name: receivedBy(account), value: count + 1 });
    thin(stores.sent, SENT_MOST, now - SENT_DAYS * 86_400_000);
    return true;
  });
}

/** How many records of an account were received from this phone; null: of what came by keys. */
export const receivedOf = (account) => within(['sent', 'notes'], 'readonly', (stores) => countedFor(stores, account));

async function countedFor(stores, account) {
  const known = await answer(stores.notes.get(receivedBy(account)));
  if (known || !account) return known?.value ?? 0;
  // before people were counted one by one
  return (await answer(stores.sent.getAll())).filter((one) => one.account === account).length;
}

function receivedBy(account) {
  return account ? `received:${account}` : 'received';
}

/** Take a record out of the outbox, and say nothing more of it. */
export function giveUp(instanceID) {
  return write('outbox', (store) => answer(store.delete(instanceID)));
}

/** Let the oldest go where there are more than `most`, or where they are older than `before`. */
function thin(store, most, before = 0) {
  const counting = store.count();
  counting.onsuccess = () => {
    let spare = counting.result - most;
    const walking = store.index('at').openCursor();
    walking.onsuccess = () => {
      const cursor = walking.result;
      if (!cursor || (spare <= 0 && cursor.value.at >= before)) return;
      spare -= 1;
      cursor.delete();
      cursor.continue();
    };
  };
}
