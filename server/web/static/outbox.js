// The outbox: records that are finished and on their way. They are kept until the server has said
// 201 or 202; what it refuses stays too, with its reason, until the person decides.
//
// Works in pages and in the service worker. One of them sends at a time.

import { hear, tell } from './signals.js';
import { ACCEPTS, patienceFor, pause, portions, post } from './sending.js';
import { changeRecord, giveUp, keepRecord, notes, openStore, received } from './store.js';

const LOCK = 'watphon-outbox';
const LEASE = 60_000; // milliseconds; a POST extends it by what it may take
const SOMETIMES = 30_000; // milliseconds; whoever sent may have died
const SYNC = 'watphon-outbox';
const AGAIN = new Set([401, 403]); // the key may live again, or the person sign in again

/**
 * Keep a finished record for sending, on the disk when this resolves.
 *
 * `{instanceID, base, form, version, title, name, submission, xml (Blob), files: [{name, blob}],
 * person, draft, edit, accepts, anonymous}`; the draft of that id goes in the same transaction.
 */
export async function queue({ draft, ...given }) {
  navigator.storage?.persist?.().catch(() => {});
  const record = { name: '', person: null, edit: null, files: [], ...given, state: 'waiting', queuedAt: Date.now(), attempts: 0, nextAt: 0, done: [] };
  await keepRecord(record, draft);
  tell({ type: 'changed' });
  sendLater();
}

/** Ask the browser to wake the worker when there is a network, where it knows how. */
async function sendLater() {
  try {
    const registration = globalThis.registration ?? (await navigator.serviceWorker?.getRegistration());
    await registration?.sync?.register(SYNC);
  } catch {
    // The page itself tries again.
  }
}

/** `{waiting, attention, received, sending, nextAt}` as things stand. */
export async function counts() {
  const { outbox } = await openStore();
  const records = await outbox.list();
  const waiting = records.filter((one) => one.state === 'waiting');
  return {
    waiting: waiting.length,
    attention: records.length - waiting.length,
    received: (await notes.get('received')) ?? 0,
    sending,
    nextAt: waiting.length ? Math.min(...waiting.map((one) => one.nextAt)) : null,
  };
}

/** Call `listener(counts)` now and after each change, in whichever tab; returns how to stop. */
export function subscribe(listener) {
  let running = false;
  let again = false;
  const look = async () => {
    if (running) {
      again = true;
      return;
    }
    running = true;
    try {
      do {
        again = false;
        listener(await counts());
      } while (again);
    } catch (error) {
      listener({ waiting: 0, attention: 0, received: 0, sending: false, nextAt: null, error });
    } finally {
      running = false;
    }
  };
  look();
  return hear(look);
}

// --- sending ---------------------------------------------------------------------------------

let sending = false;
let flushing = null;

/**
 * Send what waits and is due; resolves when nothing more can be sent now. `all`: also what waits
 * for its turn after a failed line. Two calls are one; of two tabs one sends.
 */
export function flush({ all = false } = {}) {
  flushing ??= alone(() => sendAll(all)).finally(() => {
    flushing = null;
  });
  return flushing;
}

async function alone(act) {
  if (navigator.locks) return navigator.locks.request(LOCK, { ifAvailable: true }, (lock) => (lock ? act() : undefined));
  if (!(await leased())) return undefined;
  try {
    return await act();
  } finally {
    await notes.set('lease', 0).catch(() => {});
  }
}

/** Without locks (plain http): a note that says until when somebody sends. Two tabs that come by at
 *  one instant may both send; the server then answers the second with 202. */
async function leased() {
  const now = Date.now();
  if (((await notes.get('lease').catch(() => 0)) ?? 0) > now) return false;
  await notes.set('lease', now + LEASE);
  return true;
}

async function sendAll(all) {
  const { outbox } = await openStore();
  const stopped = new Set(); // bases whose server cannot be reached or is busy
  try {
    for (const { instanceID } of await outbox.list()) {
      const record = await outbox.get(instanceID);
      const due = record?.state === 'waiting' && (record.nextAt <= Date.now() || (all && !record.asked));
      if (!due || stopped.has(record.base)) continue;
      if (!sending) {
        sending = true;
        tell({ type: 'changed' });
      }
      const outcome = await sendOne(record, (await outbox.list()).length - 1);
      if (outcome === 'later') stopped.add(record.base);
    }
  } finally {
    sending = false;
    tell({ type: 'changed' });
  }
}

async function sendOne(record, waiting) {
  let parts;
  try {
    parts = portions(record, record.accepts ?? ACCEPTS);
  } catch (error) {
    await refused(record, 413, error.message);
    return 'refused';
  }
  const headers = await about(record, waiting);
  for (const files of parts) {
    if (!navigator.locks) await notes.set('lease', Date.now() + patienceFor(record, files));
    const verdict = await post(record, files, headers);
    if (verdict.kind === 'later') {
      await later(record, verdict);
      return 'later';
    }
    if (verdict.kind === 'refused') {
      await refused(record, verdict.status, verdict.reason);
      return 'refused';
    }
    const names = files.map(({ name }) => name);
    if (parts.length > 1) await changeRecord(record.instanceID, ({ done }) => ({ done: [...done, ...names] }));
  }
  if (await received(record, Date.now())) tell({ type: 'received', instanceID: record.instanceID });
  return 'received';
}

/** What the server's board may know of this phone; of an anonymous record nothing. */
async function about(record, waiting) {
  if (record.anonymous) return { 'X-Watphon-Waiting': '0' };
  const device = await notes.get('device');
  return { 'X-Watphon-Waiting': String(waiting), ...(device ? { 'X-Watphon-Device': device } : {}) };
}

async function later(record, { wait, network = false, status = 0 }) {
  await changeRecord(record.instanceID, ({ attempts }) => ({
    attempts: attempts + 1,
    nextAt: Date.now() + Math.max(wait ?? 0, pause(attempts + 1)),
    asked: wait !== undefined, // the server named the time: nothing hurries it
    trouble: network ? 'network' : status,
  }));
  tell({ type: 'changed' });
}

async function refused(record, status, reason) {
  await changeRecord(record.instanceID, () => ({ state: 'attention', status, reason, refusedAt: Date.now() }));
  tell({ type: 'changed' });
}

// --- what needs attention --------------------------------------------------------------------

/** Let a refused record wait again, through the key of `base` where that is given. */
export async function retry(instanceID, base) {
  await changeRecord(instanceID, (record) => ({
    state: 'waiting',
    nextAt: 0,
    asked: false,
    ...(base === undefined ? {} : { base, submission: `${base}/submission` }),
    ...(record.status === 413 ? { done: [] } : {}),
  }));
  tell({ type: 'changed' });
  return flush();
}

/** Give a record up for good. */
export async function discard(instanceID) {
  await giveUp(instanceID);
  tell({ type: 'changed' });
}

/** Records that were refused for a key or a sign-in wait again: it may have changed since. */
async function reconsider() {
  const { outbox } = await openStore();
  for (const one of await outbox.list()) {
    if (one.state === 'attention' && AGAIN.has(one.status)) {
      await changeRecord(one.instanceID, () => ({ state: 'waiting', nextAt: 0, asked: false }));
    }
  }
}

// --- keeping at it ---------------------------------------------------------------------------

let begun = false;

/** From now on send whenever there is a chance: now, when the network or the tab comes back, and
 *  when it is time. Call once in a page. */
export function begin() {
  if (begun) return;
  begun = true;
  let timer = null;
  const now = (all) => flush({ all }).catch((error) => console.error(error));
  window.addEventListener('online', () => now(true));
  document.addEventListener('visibilitychange', () => {
    if (document.visibilityState === 'visible') now(true);
  });
  subscribe(({ nextAt }) => {
    clearTimeout(timer);
    if (nextAt !== null) timer = setTimeout(() => now(false), Math.max(nextAt - Date.now(), 250));
  });
  setInterval(() => now(false), SOMETIMES);
  reconsider()
    .catch(() => {})
    .then(() => now(true));
}
