// Going on with a draft, or with a sent record that is to be corrected, also in a form that has
// changed since: the answers that the new version has no place for are shown before, and kept.

import { leaves } from './engine.js';
import { openDraft } from './memory.js';
import { asked, refusal } from './refusal.js';
import { t } from './words.js';

/** What a form consists of: an answer given to another edition may have no place in this one. */
export function edition({ base, form, media }) {
  return [form.hash, ...Object.values(media).map((address) => address.slice(base.length))].join(' ');
}

/** Go on with a draft; `fill(session, {draft, at, before})` shows it. */
export async function resume(app, draft, fill) {
  const { config, engine, opened, shell } = app;
  const before = draft.before ?? [];
  let session = null;
  try {
    session = await engine.begin(opened, { draft: draft.data });
  } catch (error) {
    console.error(error);
    openDraft.clear(config.form.id);
    const lost = await answersOf(draft);
    return (await screens()).refusedScreen(shell, { ...draft, lost }, () => app.fresh());
  }
  const go = (also = []) => fill(session, { draft, at: draft.at, before: [...before, ...also] });
  if (draft.edition === edition(config)) return go();
  return told(shell, { ...draft, lost: await notCarried(draft, session.root) }, go);
}

/** A record that was sent before, to be corrected; `here` is what the form's addresses begin with. */
export async function correct(app, instanceID, here, { fill, trouble }) {
  const { config, engine, opened, shell } = app;
  try {
    const record = await (await asked(`${here}sent/${encodeURIComponent(instanceID)}`)).json();
    const xml = await (await asked(record.xml)).blob();
    const files = await Promise.all(
      Object.entries(record.files).map(async ([name, address]) => ({
        name,
        blob: await (await asked(address)).blob(),
      })),
    );
    const data = { xml, files };
    const session = await engine.begin(opened, { record: data });
    const old = { id: instanceID, form: config.form.id, data, updatedAt: Date.now() };
    const go = (before = []) => {
      fill(session, { edit: instanceID, before });
      shell.banner('edit', t('edit_title'));
    };
    return await told(shell, { ...old, lost: await notCarried(old, session.root) }, go);
  } catch (error) {
    console.error(error);
    return trouble(refusal(error, 'failed_edit'));
  }
}

/** Say which answers are not carried over, where there are any, and go on with them kept. */
async function told(shell, { id, form, version, updatedAt, data, lost }, go) {
  if (!lost.length) return go();
  const kept = { id, form, version, updatedAt, data, lost };
  return (await screens()).changedScreen(shell, kept, () => go([kept]));
}

/** Seldom needed, so not fetched with the page. */
const screens = () => import('./changed.js');

// --- what was answered -----------------------------------------------------------------------

/** The answers of an earlier edition that stand nowhere in this one: `[{label, answer}]`. */
async function notCarried(old, root) {
  const nodes = leaves(root);
  if (!old.said) {
    const worked = new Set(); // what is worked out by the form may well be another value now
    const standing = new Set();
    for (const { nodeType, currentState } of nodes) {
      const path = plain(currentState.reference);
      if (nodeType === 'model-value' || currentState.readonly) worked.add(path);
      else standing.add(`${path} ${currentState.instanceValue.trim()}`);
    }
    const stays = ({ path, answer }) => worked.has(path) || standing.has(`${path} ${answer}`);
    return (await answersOf(old)).filter((one) => !stays(one));
  }
  const now = new Map(nodes.map((node) => [node.currentState.reference, node.currentState]));
  const stands = ([path, { value }]) => now.get(path)?.relevant && now.get(path).instanceValue === value;
  return Object.entries(old.said).filter((one) => !stands(one)).map(([, said]) => said);
}

/** All answers that a draft or record holds, by their elements' names where nobody noted more. */
async function answersOf({ said, data }) {
  if (said) return Object.values(said);
  const doc = new DOMParser().parseFromString(await data.xml.text(), 'text/xml');
  const found = [];
  const walk = (element, path) => {
    if (element.localName === 'meta') return;
    const here = `${path}/${element.localName}`;
    if (element.children.length) for (const child of element.children) walk(child, here);
    else if (element.textContent.trim())
      found.push({ path: here, label: element.localName, answer: element.textContent.trim() });
  };
  walk(doc.documentElement, '');
  return found;
}

/** A question's path without the turns it lies in and without prefixes. */
function plain(reference) {
  return reference.replace(/\[\d+\]/g, '').replace(/\/[\w-]+:/g, '/');
}
