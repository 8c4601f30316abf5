// The service worker: pages and their files from the phone, forms from the network where there is
// one, and the outbox when the browser says that the network is back.
//
// The script that starts it is made by the server and carries everything that belongs to one build:
// its stamp, the files with their hashes, the two pages. Another build is another script; it fetches
// its files in the background, takes over when it has them all, and serves the next page that is
// opened. A page of the build before goes on with the files of that build.

import { flush, counts } from './outbox.js';
import { forget, keepAll, keepAnswer, kept, part } from './keeping.js';
import { within, answer as resultOf } from './store.js';

const FILES = 'watphon-web-';
const LIST = '/files';
const PATIENCE = 3000; // milliseconds for the network before what is kept is taken
const REFUSED = new Set([401, 403]); // the key is worth nothing any more
const SYNC = 'watphon-outbox';

/** Serve a scope: `{stamp, base, files: {address: sha256}, pages: {form, list}, headers}`. */
export function work(build) {
  const { base, files } = build;
  const folder = `${base}/f/`;
  const name = FILES + build.stamp;

  self.addEventListener('install', (event) => event.waitUntil(install(name, files).then(() => self.skipWaiting())));
  self.addEventListener('activate', (event) => event.waitUntil(tidy(build).then(() => self.clients.claim())));
  self.addEventListener('sync', (event) => {
    if (event.tag === SYNC) event.waitUntil(sendAll());
  });
  self.addEventListener('fetch', (event) => {
    const { request } = event;
    const url = new URL(request.url);
    if (request.method !== 'GET' || url.origin !== self.location.origin) return;
    // who is signed in: what is kept knows only who was
    if (request.cache === 'no-store') return;
    const answer = chosen(event, request, url.pathname);
    if (answer) event.respondWith(answer);
  });

  function chosen(event, request, path) {
    if (path in files || path.startsWith('/static/web-')) return file(request, name);
    if (!path.startsWith(folder)) return null;
    const rest = path.slice(folder.length);
    if (request.mode === 'navigate') {
      if (rest === '') return page(build, 'list');
      return /^[^/]+$/.test(rest) && !/\.(js|json|webmanifest)$/.test(rest) ? page(build, 'form') : null;
    }
    if (rest === 'list.json') return list(event, request, path, base);
    if (/^[^/]+\/config\.json$/.test(rest)) return config(event, request, path, base);
    if (/^[^/]+\/(xform|media)\//.test(rest)) return part(path);
    return null;
  }
}

// --- pages and their files -------------------------------------------------------------------

async function install(name, files) {
  const cache = await caches.open(name);
  const before = await earlier(name);
  for (const [address, hash] of Object.entries(files)) {
    if (await cache.match(address)) continue;
    const same = hash && before.get(hash);
    await cache.put(address, same ? await copied(same) : await fetched(address, hash));
  }
  await cache.put(LIST, new Response(JSON.stringify(files)));
}

/** Contents by hash that an earlier build has kept: they are not fetched again. */
async function earlier(name) {
  const found = new Map();
  for (const one of await caches.keys()) {
    if (!one.startsWith(FILES) || one === name) continue;
    const cache = await caches.open(one);
    const list = await cache.match(LIST);
    for (const [address, hash] of Object.entries(list ? await list.json() : {})) found.set(hash, { cache, address });
  }
  return found;
}

/** A kept content without the address it came from: a module's imports are found from there. */
async function copied({ cache, address }) {
  const { body, headers } = await cache.match(address, { ignoreVary: true });
  return new Response(body, { headers });
}

async function fetched(address, hash) {
  const answer = await fetch(address);
  if (!answer.ok) throw new Error(`${answer.status} ${address}`);
  if (hash) {
    const digest = await crypto.subtle.digest('SHA-256', await answer.clone().arrayBuffer());
    const found = [...new Uint8Array(digest)].map((byte) => byte.toString(16).padStart(2, '0')).join('');
    if (found !== hash) throw new Error(`another version of ${address}`);
  }
  return answer;
}

/** Let builds go that no scope of this server uses any more; the one before the last is kept for
 *  pages that are still open. */
async function tidy({ stamp, base }) {
  const used = await within(['notes'], 'readwrite', async ({ notes }) => {
    const known = (await resultOf(notes.get('builds')))?.value ?? {};
    const value = { ...known, [base]: [stamp, ...(known[base] ?? []).filter((one) => one !== stamp)].slice(0, 2) };
    notes.put({ name: 'builds', value });
    return new Set(Object.values(value).flat());
  });
  for (const one of await caches.keys()) {
    if (one.startsWith(FILES) && !used.has(one.slice(FILES.length))) await caches.delete(one);
  }
}

async function file(request, name) {
  const own = await (await caches.open(name)).match(request, { ignoreVary: true });
  return own ?? (await caches.match(request, { ignoreVary: true })) ?? fetch(request);
}

async function page({ pages, headers }, which) {
  return new Response(pages[which], { headers });
}

// --- forms -----------------------------------------------------------------------------------

/** What the network says within three seconds, else what is kept, else what the network says. */
async function soon(event, asked, address) {
  const before = await kept(address);
  if (!before) return asked;
  event.waitUntil(asked.catch(() => {}));
  const late = new Promise((resolve) => setTimeout(resolve, PATIENCE, before));
  return Promise.race([asked.catch(() => before), late]);
}

/** A form's config once the form it describes is whole on the phone: never a new config with lists
 *  that have not come yet, as long as an older form is there. */
async function config(event, request, address, base) {
  const asked = fetch(request).then(async (answer) => {
    if (answer.ok) {
      const keeping = keepAll(address, answer.clone());
      event.waitUntil(keeping.catch(() => {}));
      if (await kept(address)) await keeping;
    } else if (base && REFUSED.has(answer.status)) {
      await forget(address.slice(0, -'config.json'.length));
    } else if (answer.status >= 500) {
      return (await kept(address)) ?? answer;
    }
    return answer;
  });
  return soon(event, asked, address);
}

async function list(event, request, address, base) {
  const asked = fetch(request).then(async (answer) => {
    if (answer.ok) await keepAnswer(address, answer.clone());
    else if (base && REFUSED.has(answer.status)) await forget(`${base}/f/`);
    else if (answer.status >= 500) return (await kept(address)) ?? answer;
    return answer;
  });
  return soon(event, asked, address);
}

// --- the outbox ------------------------------------------------------------------------------

async function sendAll() {
  await flush({ all: true });
  const { waiting } = await counts();
  // the browser tries again later
  if (waiting) throw new Error(`${waiting} records wait`);
}
