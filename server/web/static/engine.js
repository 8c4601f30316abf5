// The form's logic: the only module that knows @getodk/xforms-engine.
//
// Opens an XForm and gives instances of it (new, from a draft, of a sent record), tells when
// anything has changed, and prepares what is stored or sent. The engine's nodes themselves are
// handed on; what they are is described at https://github.com/getodk/web-forms/tree/main/packages/xforms-engine

import './random.js';
import { loadForm } from './vendor/xforms-engine.js';
import { trimmed } from './csv.js';
import { prepared } from './xform.js';

const FILE = 'xml_submission_file';
const CHANGES = Symbol('changes');
/** The element that names the record which a correction takes the place of. */
const DEPRECATED = /<((?:[\w-]+:)?deprecatedID)\b[^>]*>[^<]*<\/\1>/;

/**
 * How often the engine has changed this state (`node.currentState`, `node.validationState`):
 * equal numbers mean that nothing is new.
 */
export function changes(state) {
  return state[CHANGES];
}

/**
 * Open a form. `config` as served with the page; `xform` the XForm's text; `properties` what the
 * engine preloads (deviceID, username, phoneNumber); `headers` go with every request for a list;
 * `lists` are those that an earlier opening has fetched, Blobs by name. The engine keeps every
 * instance of a form for as long as the form: `begun` counts them, and `again()` opens the same
 * form anew without fetching. Throws an `Error` that says what is wrong with the form.
 */
export async function openForm(config, xform, properties, headers = {}, lists = new Map()) {
  const missing = new Set();
  const fetchFormAttachment = async (url) => {
    const name = mediaName(url);
    const list = lists.get(name) ?? (await fetched(config.media[name], headers, xform));
    if (!list) {
      missing.add(name);
      return new Response('', { status: 404 });
    }
    lists.set(name, list);
    return new Response(list);
  };
  const form = await loadForm(prepared(xform), {
    fetchFormAttachment,
    missingResourceBehavior: 'BLANK',
  });
  if (form.status === 'failure') {
    throw new Error(reasons(form.error));
  }
  const again = () => openForm(config, xform, properties, headers, lists);
  return { form, missing, properties, begun: 0, again };
}

/** The list at an address as a Blob, a CSV without what the form does not use; null without it. */
async function fetched(address, headers, xform) {
  if (!address) return null;
  const answer = await fetch(address, { credentials: 'same-origin', headers }).catch(() => null);
  if (!answer?.ok) return null;
  if (!address.toLowerCase().endsWith('.csv')) return answer.blob();
  return new Blob([trimmed(await answer.text(), xform)], { type: 'text/csv' });
}

function reasons(error) {
  const said = [error, ...(error.errors ?? []), error.cause].filter(Boolean).map((one) => one.message);
  return [...new Set(said)].join('; ').slice(0, 500);
}

/** The file name that a jr:// address stands for. */
export function mediaName(url) {
  return decodeURIComponent(String(url).split('/').pop());
}

/**
 * An instance of an opened form. `from` is `{}` (new), `{draft: {xml, files}}` or
 * `{record: {xml, files}}`, where xml is a Blob and files a list of `{name, blob}`.
 */
export async function begin(opened, from = {}) {
  const watchers = new Set();
  let quiet = true;
  let waiting = false;
  const tell = () => {
    if (quiet || waiting) return;
    waiting = true;
    queueMicrotask(() => {
      waiting = false;
      for (const watcher of watchers) watcher();
    });
  };
  const settings = {
    stateFactory: (object) => watched(object, tell),
    preloadProperties: opened.properties,
    geolocationProvider: { getLocation: located },
    instanceAttachments: {
      fileNameFactory: ({ writtenAt, extension }) => `${writtenAt.getTime()}-${short()}${extension ?? ''}`,
    },
  };
  opened.begun += 1;
  const { root } = await instance(opened.form, from, settings);
  const corrects = from.draft && DEPRECATED.exec(await from.draft.xml.text())?.[0];
  quiet = false;

  return {
    root,
    id: () => value(root, 'instanceID'),
    /** Call `watcher()` once after each burst of changes; returns how to stop. */
    watch(watcher) {
      watchers.add(watcher);
      return () => watchers.delete(watcher);
    },
    /** The answers as a text, at once, for a page that has no time left: `{id, name, data}`. */
    words: () => ({
      id: value(root, 'instanceID'),
      name: value(root, 'instanceName'),
      data: { xml: correcting(root.instanceState.instanceXML, corrects) },
    }),
    /** What would be sent or kept now: `{ready, xml, files, instanceID, name}`. */
    async payload() {
      quiet = true; // it writes the time of the end, which is not an answer
      try {
        const made = await root.prepareInstancePayload({ payloadType: 'monolithic' });
        const parts = [...made.data[0].entries()];
        return {
          ready: made.status === 'ready',
          // nothing is awaited here: a page that goes away saves its draft in its last moment
          xml: new Blob([corrects ? correcting(root.instanceState.instanceXML, corrects) : parts.find(([key]) => key === FILE)[1]], { type: 'text/xml' }),
          files: [
            ...parts.filter(([key]) => key !== FILE).map(([name, blob]) => ({ name, blob })),
            ...carried(root, from.draft ?? from.record),
          ],
          instanceID: value(root, 'instanceID'),
          name: value(root, 'instanceName'),
        };
      } finally {
        quiet = false;
      }
    },
  };
}

/**
 * A draft's document that names the record it corrects (`corrects`, an element): the engine drops
 * the element from a draft, because no form asks for it.
 */
function correcting(xml, corrects) {
  if (!corrects || DEPRECATED.test(xml)) return xml;
  return xml.replace(/<\/(?:[\w-]+:)?instanceID>/, (end) => end + corrects);
}

/**
 * The files of a draft or record that are still answers. The engine hands out only what was put in
 * since it began (it takes the rest to be on the server already); a draft's files are on this phone
 * only, and a correction is a draft as soon as it is kept.
 */
function carried(root, kept) {
  const named = new Map((kept?.files ?? []).map((file) => [file.name, file]));
  return leaves(root)
    .filter((node) => node.nodeType === 'upload' && node.currentState.relevant && !node.currentState.attachmentState.dirty)
    .flatMap((node) => named.get(node.currentState.instanceValue) ?? []);
}

async function instance(form, from, settings) {
  const kept = from.draft ?? from.record;
  if (!kept) return form.createInstance(settings);
  const data = new FormData();
  data.append(FILE, new File([kept.xml], FILE, { type: 'text/xml' }));
  for (const { name, blob } of kept.files ?? []) {
    data.append(name, new File([blob], name, { type: blob.type }));
  }
  if (from.draft) return form.restoreInstance({ data: [data] }, settings);
  return form.editInstance({ inputType: 'FORM_INSTANCE_INPUT_RESOLVED', data: [data] }, settings);
}

/** A plain object that counts the writes to it and tells of them. */
function watched(object, tell) {
  let count = 0;
  return new Proxy(object, {
    get: (target, key) => (key === CHANGES ? count : target[key]),
    set(target, key, value) {
      target[key] = value;
      count += 1;
      tell();
      return true;
    },
  });
}

function short() {
  return crypto.randomUUID().slice(0, 8);
}

/** Where the phone is, for forms that note it by themselves; nothing where it may not be known. */
function located() {
  return new Promise((resolve) => {
    if (!navigator.geolocation) return resolve('');
    navigator.geolocation.getCurrentPosition(
      ({ coords }) =>
        resolve(`${coords.latitude} ${coords.longitude} ${coords.altitude ?? 0} ${coords.accuracy}`),
      () => resolve(''),
      { enableHighAccuracy: true, timeout: 20000, maximumAge: 60000 },
    );
  });
}

function value(root, name) {
  const node = leaves(root).find((one) => one.currentState.reference.endsWith(`/meta/${name}`));
  return node?.currentState.instanceValue ?? '';
}

/** Every node below `node` that holds a value, in the form's order. */
export function leaves(node) {
  const children = node.currentState.children;
  return children ? children.flatMap(leaves) : [node];
}
