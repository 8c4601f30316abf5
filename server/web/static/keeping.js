// Keeping forms on the phone: config, XForm and lists, always those of one version together.
//
// The addresses of XForm and lists carry their content's hash, so what is kept is never fetched
// again. A config is kept only when everything it names is kept. Works in pages and in the worker.

const DATA = 'watphon-data';
const HEADERS = { 'X-OpenRosa-Version': '1.0' };
const under = new Map(); // addresses that are being fetched now

/** Whether this browser can keep anything: pages that came by https, or of this very machine. */
export function canKeep() {
  return typeof caches === 'object' && globalThis.isSecureContext;
}

async function data() {
  return caches.open(DATA);
}

/** What a form consists of besides its config. */
export function parts(config) {
  return [config.xform, ...Object.values(config.media)];
}

/** The kept answer for an address, or undefined. */
export async function kept(address) {
  return (await data()).match(address, { ignoreVary: true });
}

/** An XForm or list: the kept one, else fetched and kept. Two calls fetch once. */
export async function part(address) {
  const found = await kept(address);
  if (found) return found;
  if (!under.has(address)) under.set(address, fetchPart(address).finally(() => under.delete(address)));
  return (await under.get(address)).clone();
}

async function fetchPart(address) {
  const answer = await fetch(address, { headers: HEADERS, credentials: 'same-origin' });
  if (answer.ok) await (await data()).put(address, answer.clone());
  return answer;
}

/** Keep a form whose config has just come: its parts, then the config itself. Throws where a part
 *  cannot be had; then the version that was kept before stays. */
export async function keepAll(address, answer) {
  const config = await answer.clone().json();
  const wanted = parts(config);
  for (const one of wanted) {
    const got = await part(one);
    if (!got.ok) throw new Error(`${got.status} ${one}`);
  }
  const cache = await data();
  await cache.put(address, answer);
  // what an earlier version needed
  const folder = address.slice(0, -'config.json'.length);
  const needed = new Set([address, ...wanted].map(path));
  for (const request of await cache.keys()) {
    const here = path(request.url);
    if (here.startsWith(folder) && !needed.has(here)) await cache.delete(request);
  }
}

function path(address) {
  return new URL(address, globalThis.location.href).pathname;
}

/** Fetch a form's config and keep the form; whether it is kept now. */
export async function keepForm(address) {
  try {
    const answer = await fetch(address, { headers: HEADERS, credentials: 'same-origin' });
    if (answer.ok) await keepAll(path(address), answer);
  } catch {
    // No network: what is kept is kept.
  }
  return isKept(address);
}

/** Keep another answer as it is: the list of forms. */
export async function keepAnswer(address, answer) {
  await (await data()).put(address, answer);
}

/** Whether a form can be opened without a network. */
export async function isKept(address) {
  const found = await kept(path(address));
  if (!found) return false;
  const config = await found.json();
  const there = await Promise.all(parts(config).map(kept));
  return there.every(Boolean);
}

/** Let go of what is kept below a path, for a key that opens it no more: lists hold names of people. */
export async function forget(folder) {
  const cache = await data();
  for (const request of await cache.keys()) {
    if (path(request.url).startsWith(folder)) await cache.delete(request);
  }
}
