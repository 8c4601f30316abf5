// The page before sending, and the list of every question: what is missing, and the way to it.

import { make } from './elements.js';
import { answerable, answered, questions, screens, questionsOf, wrong } from './pages.js';
import { trailNames } from './render.js';

/** A question's own words, short enough for a list. */
export function questionName(node) {
  const text = node.currentState.label?.asString
    .replace(/[*_#`]|<[^>]*>/g, '')
    .replace(/\s+/g, ' ')
    .trim();
  return text || node.currentState.reference.split('/').pop();
}

/** The page that says what is still to do; `jump(node)` leads to a question. */
export function reviewPage(root, { t, jump }) {
  const problems = wrong(root);
  const open = questions(root).filter(
    (node) => answerable(node) && !answered(node) && !node.currentState.required,
  );
  const heading = make('h2', { class: 'page-title', tabindex: '-1' }, t('end_title'));
  const verdict = problems.length
    ? make(
        'p',
        { class: 'notice bad' },
        t('end_bad', { count: problems.length }),
        ' ',
        make('span', {}, t('end_jump')),
      )
    : make('p', { class: 'notice good' }, t('end_good'));
  const element = make('section', { class: 'review' }, heading, verdict);
  if (problems.length)
    element.append(
      list(problems.map(({ node, condition }) => link(node, message(node, condition, t), jump))),
    );
  if (open.length) {
    const rest = make(
      'details',
      { class: 'rest' },
      make('summary', {}, t('end_unanswered', { count: open.length })),
    );
    rest.append(list(open.map((node) => link(node, '', jump))));
    element.append(rest);
  }
  return { element, problems };
}

function message(node, condition, t) {
  const said = node.validationState.violation?.message?.asString.trim();
  return said || t(condition === 'required' ? 'error_required' : 'error_constraint');
}

function list(items) {
  return make('ul', { class: 'jumps' }, ...items.map((item) => make('li', {}, item)));
}

function link(node, said, jump) {
  const button = make(
    'button',
    { type: 'button', class: 'jump' },
    make('span', { class: 'jump-name' }, questionName(node)),
    said ? make('span', { class: 'jump-said' }, said) : '',
  );
  button.addEventListener('click', () => jump(node, button));
  return button;
}

/** Every page of the form with what has been answered on it, for the menu. */
export function overview(root, { t, jump }) {
  const items = [];
  let before = '';
  for (const screen of screens(root)) {
    const trail = trailNames(screen.trail, t).join(' › ');
    if (trail !== before && trail) items.push(make('h3', { class: 'jump-trail' }, trail));
    before = trail;
    for (const node of questionsOf(screen).filter((one) => one.nodeType !== 'note')) {
      items.push(link(node, spoken(node, t), jump));
    }
  }
  return make('div', { class: 'overview' }, ...items);
}

/**
 * The answers given until now in words, by the question's path: `{label, answer, value}`. `known`
 * are those of the time before; of the ones that have not changed nothing is worked out again.
 */
export function answersOf(root, t, known = {}) {
  const given = questions(root).filter((node) => answerable(node) && answered(node));
  const said = given.map((node) => {
    const { reference, instanceValue } = node.currentState;
    const before = known[reference];
    const same = before?.value === instanceValue;
    return [reference, same ? before : { label: questionName(node), answer: spoken(node, t), value: instanceValue }];
  });
  return Object.fromEntries(said);
}

/** An answer in words: a choice by its label. */
export function spoken(node, t) {
  const state = node.currentState;
  if (!answered(node)) return state.required ? `${t('unanswered')} *` : t('unanswered');
  if (node.nodeType === 'trigger') return t('understood');
  if (node.nodeType === 'select') {
    const chosen = new Set(state.value);
    return state.valueOptions
      .filter((option) => chosen.has(option.value))
      .map((option) => option.label.asString)
      .join(', ');
  }
  if (node.appearances?.masked) return '••••';
  return state.instanceValue;
}
