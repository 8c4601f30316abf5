// Sending one record as OpenRosa asks, and what each answer means. Touches neither page nor store.
//
// https://docs.getodk.org/openrosa-form-submission/ : a multipart POST with the XML and its files;
// what is larger than the server takes goes in several POSTs, each with the same XML.

export const ACCEPTS = 10_000_000; // bytes of a POST, where the server has not said otherwise
const STEP = 2_000_000; // bytes of a POST where it can be helped: what a weak line gets through
const HEADERS = { 'X-OpenRosa-Version': '1.0' };
const MARGIN = 2_000; // bytes of the multipart's own lines around each part, generously

/**
 * The POSTs of a record: lists of files. What has arrived (`done`, names) is left out, but there
 * is always one POST. Throws `TooLarge` for a file that no POST can carry.
 */
export function portions(record, accepts = ACCEPTS) {
  const done = new Set(record.done ?? []);
  const room = accepts - record.xml.size - 2 * MARGIN;
  const step = Math.min(room, STEP);
  const made = [[]];
  let left = step;
  for (const file of record.files) {
    if (done.has(file.name)) continue;
    const size = file.blob.size + MARGIN;
    if (size > room) throw new TooLarge(file.name);
    if (size > left && made.at(-1).length) {
      made.push([]);
      left = step;
    }
    made.at(-1).push(file);
    left -= size;
  }
  return made;
}

/** Milliseconds that a POST may take: a minute, and more at 4 kB/s, which is a bad day's line. */
export function patienceFor(record, files) {
  return 60_000 + files.reduce((sum, { blob }) => sum + blob.size, record.xml.size) / 4;
}

/** A file of this name can never be sent. */
export class TooLarge extends Error {
  constructor(name) {
    super(name);
    this.name = 'TooLarge';
  }
}

/**
 * POST a record's XML with some of its files. Resolves with a verdict:
 * `{kind: 'received'}`, `{kind: 'later', wait?, network?, status?}` or
 * `{kind: 'refused', status, reason}`; `headers` are added to the request.
 */
export async function post(record, files, headers) {
  const form = new FormData();
  form.append('xml_submission_file', record.xml, 'submission.xml');
  for (const { name, blob } of files) form.append(name, blob, name);
  const request = { method: 'POST', body: form, headers: { ...HEADERS, ...headers } };
  return asked(record.submission, request, patienceFor(record, files), verdict);
}

/** Who is signed in on this phone now: `{user}`, '' for nobody who may send; else a verdict that
 *  says `later`, as `post` gives it. */
export function signedIn() {
  return asked('/f/list.json', { headers: HEADERS }, 60_000, async (answer) => {
    if (answer.ok) return { user: (await answer.json()).user };
    return answer.status === 401 || answer.status === 403 ? { user: '' } : later(answer);
  });
}

/** What `read` makes of the answer, within `patience` milliseconds; the network's failure else. */
async function asked(address, request, patience, read) {
  const stop = new AbortController();
  const timer = setTimeout(() => stop.abort(), patience);
  try {
    const answer = await fetch(address, {
      ...request,
      credentials: 'same-origin',
      redirect: 'manual', // to a sign-in page of some network in between: not received
      cache: 'no-store', // the worker passes it on to the network
      signal: stop.signal,
    });
    return await read(answer);
  } catch {
    return { kind: 'later', network: true };
  } finally {
    clearTimeout(timer);
  }
}

const LATER = new Set([408, 421, 423, 425, 429]);

async function verdict(answer) {
  const { status } = answer;
  if (status === 201 || status === 202) return { kind: 'received' };
  if (status >= 400 && status < 500 && !LATER.has(status)) {
    // a gateway that is not our server says no more than that the line is bad
    if (!answer.headers.has('X-OpenRosa-Version')) return { kind: 'later', status };
    return { kind: 'refused', status, reason: said(await answer.text()) };
  }
  return later(answer);
}

function later({ status, headers }) {
  return { kind: 'later', status, wait: patience(headers.get('Retry-After')) };
}

/** The words in OpenRosa's answer. The worker has no XML parser; the document is a small one. */
export function said(document) {
  const found = /<message[^>]*>([^<]*)<\/message>/.exec(document)?.[1] ?? '';
  const signs = { lt: '<', gt: '>', quot: '"', apos: "'", amp: '&' };
  return found.replace(/&(lt|gt|quot|apos|amp);/g, (_, name) => signs[name]).trim();
}

/** Milliseconds that a Retry-After asks for: seconds or a date; undefined where it says nothing. */
export function patience(header, now = Date.now()) {
  if (!header) return undefined;
  const wait = /^\d+$/.test(header.trim()) ? Number(header) * 1000 : Date.parse(header) - now;
  return Number.isFinite(wait) ? Math.min(Math.max(wait, 0), 3_600_000) : undefined;
}

/** Milliseconds until the next attempt after `attempts` failures: 4 s, 8 s … 5 min, spread a little. */
export function pause(attempts) {
  const full = Math.min(4000 * 2 ** Math.min(attempts - 1, 10), 300_000);
  return full * (0.75 + Math.random() / 4);
}
