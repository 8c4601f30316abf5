// Making a form work without a network: the service worker, what it is to keep, and what the
// server's board is told of this phone.

import { canKeep, isKept, keepAnswer, keepForm } from './keeping.js';
import { deviceID } from './memory.js';
import { subscribe } from './outbox.js';
import { tell } from './signals.js';
import { notes } from './store.js';

const HEADERS = { 'X-OpenRosa-Version': '1.0' };
const CALM = 4000; // milliseconds; the page itself comes first
const PAUSE = 3000; // milliseconds between a change and telling it

/** What this page's addresses begin with: `/key/KEY` or nothing. */
export function baseOf(path = location.pathname) {
  return path.replace(/\/f\/[^/]*\/?$/, '');
}

/**
 * Keep the form at `address` (its config.json; none on the list of forms), then the others of the
 * list. Resolves when the form itself is kept, with whether it is.
 */
export async function prepare({ base, link = false }, address = null) {
  if (!link) reportWaiting(base);
  if (!canKeep() || !navigator.serviceWorker) return false;
  try {
    await navigator.serviceWorker.register(`${base}/f/sw.js`, { scope: `${base}/f/`, type: 'module', updateViaCache: 'none' });
    await navigator.serviceWorker.ready;
  } catch (error) {
    console.warn('no service worker:', error.message);
    return false;
  }
  const [ready, others] = await Promise.all([address ? keep(address) : false, keepList(base)]);
  calm(() => keepOthers(others, address));
  return ready;
}

async function keep(address) {
  const done = await keepForm(address);
  if (done) tell({ type: 'kept', config: address });
  return done;
}

/** Keep the list of forms; the addresses of their configs. */
async function keepList(base) {
  const address = `${base}/f/list.json`;
  const answer = await fetch(address, { headers: HEADERS, credentials: 'same-origin' }).catch(() => null);
  if (!answer?.ok) return [];
  await keepAnswer(address, answer.clone());
  return (await answer.json()).forms.map(({ config }) => config);
}

async function keepOthers(addresses, but) {
  // whoever saves data gets the forms that are opened, no more
  if (navigator.connection?.saveData) return;
  for (const address of addresses) if (address !== but) await keep(address);
}

function calm(act) {
  const now = () => act().catch(() => {});
  setTimeout(() => (globalThis.requestIdleCallback ? requestIdleCallback(now, { timeout: 10_000 }) : now()), CALM);
}

/** Whether the form at `address` can be opened without a network, worker included. */
export async function readyOffline(base, address) {
  if (!canKeep() || !navigator.serviceWorker) return false;
  const registration = await navigator.serviceWorker.getRegistration(`${base}/f/`);
  return Boolean(registration?.active) && isKept(address);
}

/** Tell the board how much waits on this phone whenever that changes. */
function reportWaiting(base) {
  let told = null;
  let timer = null;
  notes.set('device', deviceID()).catch(() => {});
  subscribe(({ waiting, attention, error }) => {
    const count = waiting + attention;
    if (error || count === told) return;
    clearTimeout(timer);
    timer = setTimeout(async () => {
      const body = JSON.stringify({ device: deviceID(), waiting: count });
      const headers = { ...HEADERS, 'Content-Type': 'application/json' };
      const answer = await fetch(`${base}/f/waiting`, { method: 'POST', body, headers, credentials: 'same-origin', keepalive: true }).catch(() => null);
      if (answer?.ok) told = count;
    }, PAUSE);
  });
}
