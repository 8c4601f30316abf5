// The fixed parts of the page: title, languages, menu, progress above; the buttons below.

import { make } from './elements.js';
import { t } from './words.js';

/** Draw them into `host`; the parts by name. */
export function drawShell(host) {
  const menu = make('button', { type: 'button', class: 'icon menu', 'aria-haspopup': 'dialog' });
  const title = make('h1', { class: 'form-title' });
  const languages = make('div', { class: 'languages' });
  const progress = make('progress', { class: 'progress', max: 1, value: 0, hidden: true });
  const progressText = make('span', { class: 'progress-text', 'aria-hidden': 'true' });
  const saved = make('span', { class: 'saved' });
  const status = make('div', { class: 'status' });
  const banners = make('div', { class: 'banners' });
  const main = make('main', { class: 'main', id: 'main' });
  const back = make('button', { type: 'button', class: 'second back' });
  const next = make('button', { type: 'button', class: 'next' });
  const toEnd = make('button', { type: 'button', class: 'plain to-end', hidden: true });
  const bar = make(
    'div',
    { class: 'bar', hidden: true },
    toEnd,
    make('div', { class: 'bar-row' }, back, next),
  );
  const live = make('div', { class: 'vh', 'aria-live': 'assertive', role: 'alert' });
  host.replaceChildren(
    make(
      'header',
      { class: 'top' },
      make('div', { class: 'top-row' }, menu, title, languages),
      progress,
      make('div', { class: 'top-row small' }, progressText, saved, status),
    ),
    banners,
    main,
    bar,
    live,
  );
  return {
    menu,
    title,
    languages,
    progress,
    progressText,
    saved,
    status,
    banners,
    main,
    back,
    next,
    toEnd,
    bar,
    /** Say it to those who listen. */
    announce(text) {
      live.textContent = '';
      setTimeout(() => {
        live.textContent = text;
      }, 60);
    },
    /** Put a notice above the page, or take the one of that name away. */
    banner(name, text) {
      banners.querySelector(`[data-name="${name}"]`)?.remove();
      if (text) banners.append(make('p', { class: 'notice', role: 'status', 'data-name': name }, text));
    },
    /** One screen without the form's buttons: loading, a choice, what failed, thanks. */
    only(...content) {
      bar.hidden = true;
      progress.hidden = true;
      progressText.textContent = '';
      main.replaceChildren(make('section', { class: 'page only' }, ...content));
      window.scrollTo(0, 0);
    },
    words() {
      menu.setAttribute('aria-label', t('menu'));
    },
  };
}
