// The form in the phone's browser: opens it and decides which instance of it is filled.
//
// Everything it needs to know stands in the page's config.json. The engine is fetched beside it.

import { accountOf, belongs, iAm, watchOwner } from './account.js';
import { sure } from './dialogs.js';
import { keepDrafts } from './drafts.js';
import { make } from './elements.js';
import { send } from './finish.js';
import { drawLanguages, firstLanguage, speak } from './languages.js';
import { deviceID, onePage, openDraft } from './memory.js';
import { menu } from './menu.js';
import { prepare } from './offline.js';
import { asked, askedOwn, notKept, refusal } from './refusal.js';
import { drawShell } from './shell.js';
import { mountStatus } from './status.js';
import { openStore } from './store.js';
import { lang, moment, setLang, t } from './words.js';

const HEADERS = { 'X-OpenRosa-Version': '1.0' };
const MOST = 5; // instances begun before the form is opened anew, for the phone's memory
const BANNERS = ['draft', 'edit', 'prefill', 'person', 'saved', 'send'];

const host = document.getElementById('app') ?? document.body.appendChild(make('div', { id: 'app' }));
const query = new URLSearchParams(location.search);
setLang(firstLanguage());
const shell = drawShell(host);
shell.words();
shell.only(make('p', { class: 'loading', role: 'status' }, t('loading')));

/**
 * What the parts of the page share. `going` is `{session, filling, drafts, edit}` while a form is
 * being filled; `person()` the code of whom it is about.
 */
const app = { shell, fresh, going: null, person: () => null };

// first of all: what waits is sent even where this form cannot be opened
app.recount = mountStatus(shell.status, { t, lang, announce: shell.announce });
open().catch(failed);

// --- opening ---------------------------------------------------------------------------------

async function open() {
  const parts = Promise.all([
    import('./engine.js'),
    import('./filling.js'),
    import('./prefill.js'),
    import('./review.js'),
    import('./resuming.js'),
  ]).catch((error) => {
    throw new Error(error.message, { cause: 'network' });
  });
  parts.catch(() => {}); // said below, if nothing else fails before
  const config = await askedOwn(configAddress());
  iAm(accountOf(config));
  watchOwner(config.base);
  setLang(firstLanguage(config));
  document.title = config.form.title;
  shell.title.textContent = title(config.form.title);
  const [xform, store, [engine, filler, links, review, resuming]] = await Promise.all([
    asked(config.xform).then((answer) => answer.text()),
    openStore().catch((error) => {
      throw Object.assign(new Error(error.message, { cause: 'store' }), { name: error.name });
    }),
    parts,
  ]);
  const known = config.anonymous
    ? {}
    : { deviceID: deviceID(), username: config.user?.username, phoneNumber: config.user?.phonenumber };
  const opened = await engine.openForm(config, xform, known, HEADERS);
  Object.assign(app, { config, store, engine, filler, links, review, resuming, opened });
  shell.menu.onclick = () => menu(app);
  await choose();
  if (!globalThis.isSecureContext) shell.banner('secure', t('not_secure'));
  prepare(config, configAddress()).catch((error) => console.warn(error));
}

function configAddress() {
  return `${location.pathname.replace(/\/$/, '')}/config.json`;
}

/** A title in both languages, "ไทย | English", is cut to the one in use. */
function title(text) {
  const halves = text.split(' | ');
  return halves.length === 2 ? halves[lang() === 'th' ? 0 : 1] : text;
}

function failed(error) {
  console.error(error);
  if (error.cause === 'store') return trouble(notKept(error, 'failed_store'));
  return trouble(refusal(error, error.cause === 'network' ? 'failed_network' : 'failed_form'));
}

function trouble(words) {
  const again = make('button', { type: 'button' }, t('try_again'));
  again.addEventListener('click', () => location.reload());
  shell.only(
    make('h2', { class: 'page-title' }, t('failed_title')),
    make('p', { role: 'alert' }, words),
    again,
  );
}

// --- which instance --------------------------------------------------------------------------

/** A draft asked for, the one this tab had open, one of those left, a sent record, or a new form. */
async function choose() {
  const { config, store } = app;
  const own = (one) => belongs(one, accountOf(config));
  await store.drafts.recover().catch((error) => console.warn(error));
  const all = (await store.drafts.list(config.form.id).catch(() => [])).filter(own);
  const edit = query.get('edit');
  if (edit && config.edit) {
    const begun = all.find((one) => one.edit === edit);
    if (begun) return resume(begun);
    const here = configAddress().replace(/config\.json$/, '');
    return app.resuming.correct(app, edit, here, { fill, trouble });
  }
  const wanted = query.get('draft') ?? (query.has('new') ? null : openDraft.get(config.form.id));
  const draft = wanted && (await store.drafts.get(wanted).catch(() => null));
  if (draft && own(draft)) return resume(draft);
  const left = query.has('new') ? [] : all.filter(concerns);
  return left.length ? offer(left) : fresh();
}

/** Whether a draft may be meant by this address: one that names a person means no other's. */
function concerns(draft) {
  const code = named();
  return !code || draft.person === code;
}

/** The code of the person whom the address names, or nothing. */
function named() {
  return app.links.asked(location.search).find(([name]) => isPerson(name))?.[1];
}

function offer(left) {
  const rows = left.sort((a, b) => b.updatedAt - a.updatedAt).map(offered);
  const anew = make('button', { type: 'button', class: 'second wide' }, t('draft_new'));
  anew.addEventListener('click', () => fresh());
  const heading = make('h2', { class: 'page-title', tabindex: '-1' }, t('drafts_title'));
  shell.only(heading, make('ul', { class: 'drafts' }, ...rows), anew);
  drawLanguages(shell.languages, null, () => {
    shell.title.textContent = title(app.config.form.title);
    app.recount();
    offer(left);
  });
}

function offered(draft) {
  const go = make('button', { type: 'button', class: 'wide' }, t('draft_continue'));
  go.addEventListener('click', () => resume(draft));
  const drop = make('button', { type: 'button', class: 'plain' }, t('draft_discard'));
  drop.addEventListener('click', async () => {
    if (!(await sure(t('discard_sure'), t('discard_yes'), t('discard_no')))) return;
    await app.store.drafts.remove(draft.id);
    await choose();
  });
  const name = draft.name ? [make('strong', {}, draft.name), ' '] : [];
  return make(
    'li',
    { class: 'draft' },
    make('p', {}, ...name, t('draft_of', { when: moment(draft.updatedAt) })),
    go,
    drop,
  );
}

async function resume(draft) {
  await app.resuming.resume(app, draft, fill);
}

/** A new form, answered from the address; for the `next` person without what says who. */
async function fresh({ next = false } = {}) {
  const { config, engine, links } = app;
  openDraft.clear(config.form.id);
  if (next) forgetPerson();
  if (app.opened.begun >= MOST) {
    shell.only(make('p', { class: 'loading', role: 'status' }, t('loading')));
    app.opened = await app.opened.again().catch(() => app.opened); // which still serves
  }
  const session = await engine.begin(app.opened);
  const refused = links.prefill(session.root, links.asked(location.search), config.prefill);
  fill(session, {});
  shell.banner('prefill', refused.length ? t('prefill_refused', { names: refused.join(', ') }) : '');
}

/** The address is about nobody any more: a reload goes on with the next person. */
function forgetPerson() {
  const left = [...new URLSearchParams(location.search)].filter(
    ([name]) => !isPerson(app.links.questionOf(name)) && !['draft', 'edit', 'new'].includes(name),
  );
  const search = String(new URLSearchParams(left));
  history.replaceState(history.state, '', location.pathname + (search && `?${search}`));
}

function isPerson(name) {
  return name.split('/').pop() === app.config.person?.split('/').pop();
}

// --- filling ---------------------------------------------------------------------------------

function fill(session, { draft = null, at = null, edit = draft?.edit ?? null, before = [] }) {
  const { config, store, opened, filler, review, resuming } = app;
  const { form } = config;
  app.going?.filling.destroy();
  speak(session.root, firstLanguage(config));
  for (const name of BANNERS) shell.banner(name, '');
  if (edit) shell.banner('edit', t('edit_title'));
  shell.banner(
    'list',
    opened.missing.size ? t('list_missing', { names: [...opened.missing].join(', ') }) : '',
  );

  let said = {};
  const drafts = keepDrafts({
    drafts: store.drafts,
    session,
    touched: Boolean(draft),
    describe: () => ({
      form: form.id,
      base: config.base,
      account: accountOf(config),
      version: form.version,
      title: form.title,
      at: app.going?.filling.place() ?? null,
      half: app.going?.filling.half() ?? {},
      edition: resuming.edition(config),
      said: (said = review.answersOf(session.root, t, said)),
      before,
      person: app.person(),
      edit,
    }),
    told(error) {
      shell.saved.textContent = error ? '' : t('saved');
      shell.banner('saved', error ? notKept(error, 'not_saved') : '');
      if (error) console.error(error);
      else openDraft.set(form.id, session.id());
    },
    waiting() {
      shell.saved.textContent = '';
    },
    commit() {
      app.going?.filling.commit();
      openDraft.set(form.id, session.id()); // the page may not live to hear that it is kept
    },
  });
  const filling = filler.filling(shell, {
    session,
    at,
    half: draft?.half,
    onePage: onePage.get(),
    announce: shell.announce,
    form: { config, media: (url) => config.media[app.engine.mediaName(url)] ?? null },
    reload: () => filling.rebuild(),
    changed: drafts.changed,
    send: () => send(app),
  });
  app.going = { session, filling, drafts, edit, before };
  shell.bar.hidden = false;
  drawLanguages(shell.languages, session.root, () => {
    shell.words();
    shell.title.textContent = title(form.title);
    shell.saved.textContent = '';
    app.recount();
    filling.rebuild();
  });
  watchPerson(session);
  // Fetched soon, so that whatever the form asks later is there without a signal too.
  setTimeout(() => filler.fetchWidgets(session.root), 1500);
}

/** Say at once when this person's code was already used for this form on this phone. */
function watchPerson(session) {
  const { config, store, engine } = app;
  const nodes = config.person ? engine.leaves(session.root) : [];
  const node =
    nodes.find((one) => one.currentState.reference === config.person) ??
    nodes.find((one) => isPerson(one.currentState.reference));
  app.person = () => node?.currentState.instanceValue || null;
  if (!node) return;
  let before = '';
  const look = async () => {
    const code = node.currentState.instanceValue;
    if (code === before) return;
    before = code;
    const used = code ? await store.people.find(config.form.id, code).catch(() => null) : null;
    if (code !== before) return;
    const another = used && used.instanceID !== session.id() && !app.going?.edit;
    shell.banner('person', another ? t('person_used', { code, when: moment(used.at) }) : '');
  };
  session.watch(look);
  look();
}
