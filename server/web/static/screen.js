// What stands between header and buttons: a page of questions, the one that asks for another turn,
// everything at once, or the check before sending. Each is a view as in render.js.

import { make } from './elements.js';
import { shownChildren } from './pages.js';
import { contents, trailNames } from './render.js';
import { reviewPage } from './review.js';

const NOTHING = { update() {}, questions: () => [], destroy() {} };

/** The page of `screen()`; `number` is what it is called where no group gives it a name. */
export function questionsScreen(screen, number, env) {
  const body = make('div', { class: 'page-body' });
  const element = make('section', { class: 'page' }, title(screen().trail, number, env), body);
  return { ...contents(body, () => screen()?.nodes ?? [], env), element };
}

/** A page's title: the innermost group, the others before it in small letters. */
function title(around, number, env) {
  const names = trailNames(around, env.t);
  const heading = make('h2', { class: 'page-title', tabindex: '-1' });
  if (names.length > 1) heading.append(make('span', { class: 'crumbs' }, names.slice(0, -1).join(' › ')));
  heading.append(names.at(-1) ?? number);
  heading.classList.toggle('vh', names.length === 0);
  const turn = around.findLast((node) => node.nodeType === 'repeat-instance');
  if (turn?.parent.nodeType !== 'repeat-range:uncontrolled') return heading;
  const remove = make('button', { type: 'button', class: 'plain remove' }, env.t('remove'));
  remove.addEventListener('click', () => env.removeTurn(turn));
  return make('div', { class: 'title-row' }, heading, remove);
}

/** The page after the last turn of a repeat: is there another? */
export function anotherScreen(range, { t, addTurn }) {
  const name = range.currentState.label?.asString.trim();
  const count = range.currentState.children.length;
  const words = `+ ${name ? t('add', { label: name }) : t('add_plain')}`;
  const add = make('button', { type: 'button', class: 'second wide add' }, words);
  add.addEventListener('click', () => addTurn(range));
  const element = make(
    'section',
    { class: 'page another' },
    make('h2', { class: 'page-title', tabindex: '-1' }, name || t('add_question')),
    make('p', {}, name ? `${t('add_question')} ` : '', count ? t('add_count', { count }) : t('add_none')),
    add,
    make('p', { class: 'q-hint' }, t('add_hint')),
  );
  return { ...NOTHING, element };
}

/** The check before sending. */
export function endScreen(root, { t, toCorrect }) {
  const element = make('div', {});
  const update = () => element.replaceChildren(reviewPage(root, { t, jump: toCorrect }).element);
  update();
  return { ...NOTHING, element, update };
}

/** The whole form; with the check below once `checked()`. */
export function everythingScreen(root, name, checked, env) {
  const body = make('div', { class: 'page-body' });
  const review = make('div', {});
  const heading = make('h2', { class: 'page-title vh', tabindex: '-1' }, name);
  const inside = contents(body, () => shownChildren(root), env);
  const verdict = () => {
    if (checked()) review.replaceChildren(reviewPage(root, { t: env.t, jump: env.toCorrect }).element);
  };
  verdict();
  return {
    ...inside,
    element: make('section', { class: 'page everything' }, heading, body, review),
    update() {
      inside.update();
      verdict();
    },
  };
}
