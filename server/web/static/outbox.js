// The outbox: records that are finished and on their way. They are kept until the server has said
// 201 or 202; what it refuses stays too, with its reason, until the person decides.
//
// Works in pages and in the service worker. One of them sends at a time.

import { belongs } from './account.js';
import { hear, tell } from './signals.js';
import { ACCEPTS, patienceFor, pause, portions, post, signedIn } from './sending.js';
import { changeRecord, giveUp, keepRecord, notes, openStore, received, receivedOf } from './store.js';
import { crc32 } from './zip.js';

const LOCK = 'watphon-outbox';
const LEASE = 60_000; // milliseconds; a POST extends it by what it may take
const LEASE_MOST = LEASE + ACCEPTS / 4; // milliseconds; a lease further ahead is of another clock
const AHEAD_MOST = 3_900_000; // milliseconds; a turn further ahead was reckoned by another clock
export const SOMETIMES = 30_000; // milliseconds; whoever sent may have died
const SYNC = 'watphon-outbox';
const ITS_OWN = 500; // the status of a server that stumbles over one record and may take the next

/**
 * Keep a finished record for sending, on the disk when this resolves.
 *
 * `{instanceID, base, account, form, version, title, name, submission, xml (Blob), files: [{name,
 * blob}], person, draft, edit, accepts, anonymous}`; the draft of that id goes in the same
 * transaction. Rejects with `AlreadySent` where the id was handed in with other answers.
 */
export async function queue({ draft, ...given }) {
  navigator.storage?.persist?.().catch(() => {});
  const print = `${given.xml.size} ${crc32(new Uint8Array(await given.xml.arrayBuffer()))}`;
  const record = { name: '', person: null, edit: null, account: null, files: [], ...given, print, state: 'waiting', queuedAt: Date.now(), attempts: 0, nextAt: 0, done: [] };
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

/** `{waiting, attention, received, sending, nextAt, trouble}` as things stand; `trouble` is the
 *  error by which the phone itself could not note what became of a record. Where an `account` is
 *  given (null behind a key), only what may be shown to it is counted. */
export async function counts(account) {
  const { outbox } = await openStore();
  const records = await outbox.list();
  const waiting = records.filter((one) => one.state === 'waiting');
  const shown = records.filter((one) => account === undefined || belongs(one, account));
  const ready = shown.filter((one) => one.state === 'waiting').length;
  return {
    waiting: ready,
    attention: shown.length - ready,
    received: await receivedOf(account ?? null),
    sending,
    nextAt: waiting.length ? Math.min(...waiting.map(turns(records))) : null,
    trouble,
  };
}

/** Call `listener(counts)` now and after each change, in whichever tab; returns how to stop.
 *  `account()` says for whom it is counted; without it everything is. */
export function subscribe(listener, account = () => undefined) {
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
        listener(await counts(account()));
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
let trouble = null;
const resting = new Map(); // until when, of records of which the phone could not note what became

/**
 * Send what waits and is due; resolves when nothing more can be sent now. `all`: also what waits
 * for its turn after a failed line; `every`: whatever waits, because a person says so. Two calls
 * are one; of two tabs one sends.
 */
export function flush({ all = false, every = false } = {}) {
  if (every && flushing) return flushing.catch(() => {}).then(() => flush({ every }));
  flushing ??= alone(() => sendAll(all, every)).finally(() => {
    flushing = null;
  });
  return flushing;
}

/**
 * When a record's turn comes: a server that is busy or out of reach puts off all that wait for it.
 * `all`: only what the server asked for counts, and what the phone cannot note.
 */
function turns(records, all = false) {
  const now = Date.now();
  const own = (one) => (one.nextAt > now + AHEAD_MOST || (all && !one.asked) ? 0 : one.nextAt);
  const bases = new Map();
  for (const one of records) {
    const holds = one.state === 'waiting' && (one.asked || one.trouble !== ITS_OWN);
    if (holds) bases.set(one.base, Math.max(own(one), bases.get(one.base) ?? 0));
  }
  return (one) => Math.max(own(one), bases.get(one.base) ?? 0, resting.get(one.instanceID) ?? 0);
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
  const until = (await notes.get('lease').catch(() => 0)) ?? 0;
  if (until > now && until <= now + LEASE_MOST) return false;
  await notes.set('lease', now + LEASE);
  return true;
}

async function sendAll(all, every) {
  const { outbox } = await openStore();
  const records = await outbox.list();
  const turn = every ? () => 0 : turns(records, all);
  const due = records.filter((one) => one.state === 'waiting' && turn(one) <= Date.now());
  if (!due.length) return;
  sending = true;
  tell({ type: 'changed' });
  const stopped = new Set(); // bases whose server cannot be reached or is busy
  // what has failed most comes last: it must not keep the others from their turn
  due.sort((a, b) => a.attempts - b.attempts);
  try {
    for (const { instanceID } of due) {
      try {
        const record = await outbox.get(instanceID);
        if (record?.state !== 'waiting' || stopped.has(record.base)) continue;
        const outcome = await sendOne(record, (await outbox.list()).length - 1);
        if (outcome === 'later') stopped.add(record.base);
        resting.delete(instanceID);
        trouble = null;
      } catch (error) {
        // the phone is full: the next record may still be sent, this one rests
        console.warn(error);
        resting.set(instanceID, Date.now() + SOMETIMES);
        trouble = error;
      }
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
  if (record.base === '' && record.account) {
    const here = await signedIn();
    if (here.kind === 'later') {
      await later(record, here);
      return 'later';
    }
    if (here.user !== record.account) {
      await refused(record, 401, '');
      return 'refused';
    }
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
  if (await settled(record)) tell({ type: 'received', instanceID: record.instanceID });
  return 'received';
}

/** Note that the server has a record; where there is no room for a note, the record goes all the
 *  same, which is what makes room. */
async function settled(record) {
  try {
    return await received(record, Date.now());
  } catch (error) {
    console.warn(error);
    await giveUp(record.instanceID);
    return true;
  }
}

/** What the server's board may know of this phone; of an anonymous record nothing. */
async function about(record, waiting) {
  if (record.anonymous) return { 'X-Watphon-Waiting': '0' };
  const device = await notes.get('device');
  return { 'X-Watphon-Waiting': String(waiting), ...(device ? { 'X-Watphon-Device': device } : {}) };
}

async function later(record, { wait, network = false, status = 0 }) {
  const { outbox } = await openStore();
  // records take turns in asking a server; how often it failed is counted for them together
  const others = (await outbox.list()).filter((one) => one.state === 'waiting' && one.base === record.base);
  const before = status === ITS_OWN ? record.attempts : Math.max(0, ...others.map((one) => one.attempts));
  await changeRecord(record.instanceID, ({ attempts }) => ({
    attempts: attempts + 1,
    nextAt: Date.now() + Math.max(wait ?? 0, pause(before + 1)),
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

/** Let a refused record wait again; where `base` is given, through its key or by its `account`. */
export async function retry(instanceID, base, account = null) {
  await changeRecord(instanceID, (record) => ({
    state: 'waiting',
    nextAt: 0,
    asked: false,
    ...(base === undefined ? {} : { base, account, submission: `${base}/submission` }),
    ...(record.status === 413 ? { done: [] } : {}),
  }));
  tell({ type: 'changed' });
  return flush({ every: true });
}

/** Give a record up for good. */
export async function discard(instanceID) {
  await giveUp(instanceID);
  tell({ type: 'changed' });
}
