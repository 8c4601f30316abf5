// The menu: how the form is shown, the other forms, every question, and giving the draft up.

import { closeSheet, keptButton, sheet, sure } from './dialogs.js';
import { make } from './elements.js';
import { onePage, openDraft } from './memory.js';
import { t } from './words.js';

/** Open it. */
export function menu(app) {
  const { config, going, review } = app;
  const row = (text, act, style = 'second wide') => {
    const button = make('button', { type: 'button', class: style }, text);
    button.addEventListener('click', () => {
      closeSheet(button);
      act();
    });
    return button;
  };
  going?.filling.commit();
  if (!going) return sheet(t('menu'), t('close'), allForms(config));
  const view = row(t(onePage.get() ? 'paged' : 'one_page'), () => {
    onePage.set(!onePage.get());
    going.filling.onePage(onePage.get());
  });
  const questions = review.overview(going.session.root, {
    t,
    jump(node, from) {
      closeSheet(from);
      going.filling.jump(node);
    },
  });
  const kept = keptButton(going, 'second wide');
  const drop = row(t('draft_discard'), () => giveUp(app), 'plain remove wide');
  return sheet(t('menu'), t('close'), view, allForms(config), kept, make('h3', {}, t('overview')), questions, drop);
}

/** The way to the list of forms. */
export function allForms(config) {
  return make('a', { class: 'button second wide', href: `${config.base}/f/` }, t('all_forms'));
}

async function giveUp(app) {
  const { session, drafts } = app.going;
  if (!(await sure(t('discard_sure'), t('discard_yes'), t('discard_no')))) return;
  await drafts.stop();
  await app.store.drafts.remove(session.id());
  openDraft.clear(app.config.form.id);
  await app.fresh();
}
