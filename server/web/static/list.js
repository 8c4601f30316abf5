// The list of forms on this phone: which are open, what is unfinished, what waits, what arrived.

import { accountOf, belongs, iAm, me, watchOwner } from './account.js';
import { keptButton, sure } from './dialogs.js';
import { make } from './elements.js';
import { download, exported } from './exporting.js';
import { isKept } from './keeping.js';
import { drawLanguages, firstLanguage } from './languages.js';
import { baseOf, prepare, readyOffline } from './offline.js';
import { discard, flush, retry } from './outbox.js';
import { askedOwn, refusal } from './refusal.js';
import { drawShell } from './shell.js';
import { hear } from './signals.js';
import { mountStatus } from './status.js';
import { openStore } from './store.js';
import { lang, moment, setLang, t } from './words.js';

const SHOWN = 20; // sent records that are listed

setLang(firstLanguage());
const base = baseOf();
const shell = drawShell(document.getElementById('app'));
shell.menu.hidden = true;
const counter = mountStatus(shell.status, { t, lang, announce: shell.announce });
let list = null;
let account = me(base); // who is signed in
let failure = null;
let drawing = null;

const parts = Object.fromEntries(['forms', 'attention', 'waiting', 'others', 'drafts', 'sent'].map((name) => [name, make('section', { class: `list-${name}` })]));
shell.only(...Object.values(parts));
parts.forms.append(make('p', { class: 'loading', role: 'status' }, t('loading')));
languages();
watchOwner(base);
open();
hear(({ type }) => {
  if (type === 'changed' || type === 'received' || type === 'kept') draw();
});
window.addEventListener('online', () => list ?? open());
document.addEventListener('visibilitychange', () => document.visibilityState === 'visible' && draw());

async function open() {
  try {
    list = await askedOwn(`${base}/f/list.json`);
    account = accountOf({ base, user: { username: list.user } });
    iAm(account);
    failure = null;
    setLang(firstLanguage(list));
    languages();
  } catch (error) {
    failure = error;
  }
  if (!globalThis.isSecureContext) shell.banner('secure', t('not_secure'));
  await draw();
  if (!list) return;
  prepare(list).then(draw);
}

function languages() {
  document.documentElement.lang = lang();
  document.title = t('list_title');
  shell.title.textContent = t('list_title');
  drawLanguages(shell.languages, null, () => {
    languages();
    counter();
    draw();
  });
}

/** Draw everything anew; calls that come meanwhile are one more drawing. */
function draw() {
  drawing = (drawing ?? Promise.resolve()).then(drawAll, drawAll);
  return drawing;
}

async function drawAll() {
  const store = await openStore().catch(() => null);
  await store?.drafts.recover().catch((error) => console.warn(error));
  const [allDrafts, all, allSent] = store ? await Promise.all([store.drafts.list(), store.outbox.list(), store.sent.list()]) : [[], [], []];
  const [drafts, records, sent] = [allDrafts, all, allSent].map((some) => some.filter(own));
  const ready = new Map(list ? await Promise.all(list.forms.map(async ({ config }) => [config, await state(config)])) : []);
  parts.forms.replaceChildren(...forms(ready, sent));
  fillPart('attention', records.filter((one) => one.state !== 'waiting').map(troubled));
  fillPart('waiting', records.filter((one) => one.state === 'waiting').map(waiting), sendNow());
  parts.others.replaceChildren(...others(all.filter((one) => !own(one))));
  fillPart('drafts', drafts.sort((a, b) => b.updatedAt - a.updatedAt).map(unfinished));
  fillPart('sent', sent.slice(0, SHOWN).map(arrived));
}

/** Whether it may be shown here: of several people on one phone everybody sees their own. */
function own(one) {
  return belongs(one, account);
}

function fillPart(name, rows, more = '') {
  parts[name].replaceChildren();
  if (rows.length) parts[name].append(make('h2', { class: 'page-title' }, t(`${name}_here`)), make('ul', { class: 'drafts' }, ...rows), more);
}

async function state(config) {
  if (await readyOffline(base, config)) return 'ready';
  return (await isKept(config).catch(() => false)) ? 'getting_ready' : 'not_ready';
}

// --- forms -----------------------------------------------------------------------------------

function forms(ready, sent) {
  if (failure) {
    const again = make('button', { type: 'button', class: 'wide' }, t('try_again'));
    again.addEventListener('click', () => location.reload());
    return [make('p', { class: 'notice bad', role: 'alert' }, refusal(failure, 'list_failed')), again];
  }
  if (!list) return [];
  if (!list.forms.length) return [make('p', { class: 'notice' }, t('list_none'))];
  const today = new Date().toDateString();
  const counts = new Map();
  for (const one of sent) {
    if (new Date(one.at).toDateString() === today) counts.set(one.form, (counts.get(one.form) ?? 0) + 1);
  }
  const rows = list.forms.map((form) => {
    const count = counts.get(form.id);
    return make(
      'li',
      {},
      make('a', { class: 'form-link', href: form.page }, title(form.title)),
      make('p', { class: 'form-about' }, make('span', { class: `offline ${ready.get(form.config)}` }, t(ready.get(form.config))), count ? ` · ${t('sent_today', { n: count })}` : ''),
    );
  });
  return [make('ul', { class: 'form-list' }, ...rows)];
}

/** A title in both languages, "ไทย | English", is cut to the one in use. */
function title(text) {
  const halves = text.split(' | ');
  return halves.length === 2 ? halves[lang() === 'th' ? 0 : 1] : text;
}

function entry(record, ...content) {
  return make('li', { class: 'draft' }, make('p', { class: 'entry-name' }, make('strong', {}, title(record.title)), record.name ? ` ${record.name}` : ''), ...content);
}

function button(words, act, style = 'second') {
  const made = make('button', { type: 'button', class: style }, words);
  made.addEventListener('click', act);
  return made;
}

// --- unfinished, waiting, refused, received --------------------------------------------------

function unfinished(draft) {
  // a key may have been replaced by another since it was begun
  const at = list?.forms.some((form) => form.id === draft.form) ? base : draft.base;
  const open = make('a', { class: 'button', href: `${at}/f/${encodeURIComponent(draft.form)}?draft=${encodeURIComponent(draft.id)}` }, t('draft_open'));
  const remove = button(t('draft_delete'), async () => {
    if (!(await sure(t('draft_delete_sure'), t('draft_delete'), t('keep_no')))) return;
    await (await openStore()).drafts.remove(draft.id);
    await draw();
  }, 'plain remove');
  return entry(draft, make('p', {}, t('draft_of', { when: moment(draft.updatedAt) })), make('div', { class: 'row' }, open, remove), keptButton(draft));
}

function waiting(record) {
  const why = record.trouble === 'network' ? t('trouble_network') : record.trouble ? t('trouble_server', { status: record.trouble }) : '';
  return entry(record, make('p', {}, t('waiting_since', { when: moment(record.queuedAt) })), why ? make('p', {}, why) : '', keptButton(record));
}

/** Of what others have handed in on this phone: how much it is and whose, no more. */
function others(records) {
  if (!records.length) return [];
  const names = [...new Set(records.map((one) => one.account))].join(', ');
  return [make('p', { class: 'notice' }, t('others_here', { n: records.length, names }))];
}

function sendNow() {
  return button(t('send_now'), () => flush({ every: true }), 'wide');
}

function troubled(record) {
  const { status, reason, instanceID } = record;
  const known = [401, 403, 404, 405, 409, 410, 413].includes(status);
  const row = make('div', { class: 'row' });
  const elsewhere = record.base !== base && list;
  if (elsewhere) row.append(button(t('retry_here'), () => retry(instanceID, base, account)));
  else row.append(button(t('retry'), () => retry(instanceID)));
  row.append(button(t('export'), async () => download(await exported(record))));
  row.append(
    button(t('give_up'), async () => {
      if (await sure(t('give_up_sure'), t('give_up_yes'), t('keep_no'))) await discard(instanceID);
    }, 'plain remove'),
    keptButton(record),
  );
  const why = status === 401 && record.account ? t('why_account', { name: record.account }) : t(known ? `why_${status}` : 'why_other', { status });
  return entry(
    record,
    make('p', { class: 'notice bad' }, why, ' ', t('attention_kept')),
    reason ? make('p', { class: 'server-said' }, t('server_said', { reason: ours(reason) })) : '',
    row,
  );
}

/** The half of "English / ไทย" in the reader's language. */
function ours(words) {
  const halves = words.split(' / ');
  return halves.length === 2 && lang() === 'th' ? halves[1] : halves[0];
}

function arrived(record) {
  const open = list?.forms.some((form) => form.id === record.form);
  const mine = !record.anonymous && list && !list.link && record.base === base && open;
  const edit = mine ? make('a', { class: 'button second', href: `${base}/f/${encodeURIComponent(record.form)}?edit=${encodeURIComponent(record.instanceID)}` }, t('correct')) : '';
  return entry(record, make('p', {}, t('sent_at', { when: moment(record.at) })), edit ? make('div', { class: 'row' }, edit) : '');
}
