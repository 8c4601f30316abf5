// A finished form: handed to the outbox, thanked for, and the next person's turn.

import { accountOf } from './account.js';
import { make } from './elements.js';
import { openDraft } from './memory.js';
import { allForms } from './menu.js';
import { flush, queue } from './outbox.js';
import { notKept } from './refusal.js';
import { t } from './words.js';

const OVERHEAD = 20_000; // bytes of the multipart's own lines, generously

/** Put the form that is being filled into the outbox; on the page it stays where that fails. */
export async function send(app) {
  const { config, shell } = app;
  const { session, drafts, edit, before } = app.going;
  const { form } = config;
  shell.next.disabled = true;
  shell.announce(t('sending'));
  try {
    const made = await session.payload();
    // Files go in as many turns as they need; only one that fits into none cannot be sent.
    const great = made.files.find(({ blob }) => blob.size + made.xml.size + OVERHEAD > config.accepts);
    if (great) {
      stopped(shell, t('too_large', { size: megabytes(great.blob.size), limit: megabytes(config.accepts) }));
      return;
    }
    await drafts.settled();
    await queue({
      instanceID: made.instanceID,
      base: config.base,
      account: accountOf(config),
      form: form.id,
      version: form.version,
      title: form.title,
      name: made.name,
      submission: config.submission,
      xml: made.xml,
      files: made.files,
      person: app.person(),
      draft: made.instanceID,
      edit,
      accepts: config.accepts,
      before,
      anonymous: Boolean(config.anonymous),
    });
    await drafts.stop();
    openDraft.clear(form.id);
    done(app, made.instanceID);
  } catch (error) {
    console.error(error);
    stopped(shell, notKept(error, 'queue_failed'));
  } finally {
    shell.next.disabled = false;
  }
}

function stopped(shell, words) {
  shell.banner('send', words);
  shell.announce(words);
  window.scrollTo(0, 0);
}

function megabytes(bytes) {
  return (bytes / 1_000_000).toFixed(1);
}

/** Thanks, and whether it waits or has been received. */
function done(app, instanceID) {
  const { config, shell, going } = app;
  going.filling.destroy();
  app.going = null;
  for (const name of ['send', 'person', 'edit', 'prefill', 'draft', 'saved']) shell.banner(name, '');
  shell.saved.textContent = '';
  const heading = make(
    'h2',
    { class: 'page-title', tabindex: '-1' },
    t(going.edit ? 'done_edit' : 'done_title'),
  );
  const said = make('p', { class: 'notice', role: 'status' }, t('done_waiting'));
  const next = make(
    'button',
    { type: 'button', class: 'wide' },
    t(config.person ? 'done_next' : 'done_again'),
  );
  next.addEventListener('click', () => app.fresh({ next: true }));
  shell.only(heading, said, going.edit ? '' : next, allForms(config));
  heading.focus({ preventScroll: true });
  app.store.outbox.watch(instanceID, () => {
    said.textContent = t('done_received');
    said.className = 'notice good';
  });
  flush({ all: true }).catch((error) => console.error(error));
}
