// A page's nodes as elements, kept in step with the engine: questions, groups, turns of a repeat.
//
// A view is `{element, update(), questions(), destroy()}`; only what the present page shows has
// one. Views are kept while their node is shown, so that typing never loses its place.

import { isLeaf, isOpenEnded, isRepeat, shownChildren, turnNumber } from './pages.js';
import { drawn } from './markdown.js';
import { make } from './elements.js';
import { questionView } from './question.js';

/** The views of the nodes that `nodes()` gives, inside `element`; new ones come where they belong. */
export function contents(element, nodes, env) {
  const views = new Map();
  const view = {
    element,
    update() {
      const wanted = nodes();
      const ids = new Set(wanted.map((node) => node.nodeId));
      for (const [id, known] of views) {
        if (ids.has(id)) continue;
        known.destroy();
        known.element.remove();
        views.delete(id);
      }
      let after = null;
      for (const node of wanted) {
        let known = views.get(node.nodeId);
        if (!known) {
          known = viewOf(node, env);
          views.set(node.nodeId, known);
        } else {
          known.update();
        }
        const place = after ? after.nextSibling : element.firstChild;
        if (known.element !== place) element.insertBefore(known.element, place);
        after = known.element;
      }
    },
    questions: () => [...views.values()].flatMap((known) => known.questions()),
    destroy: () => views.forEach((known) => known.destroy()),
  };
  view.update();
  return view;
}

function viewOf(node, env) {
  if (isLeaf(node)) return questionView(node, env);
  if (isRepeat(node)) return repeatView(node, env);
  return node.nodeType === 'repeat-instance' ? turnView(node, env) : groupView(node, env);
}

/** A group inside a page: its heading and what is in it. */
function groupView(node, env) {
  const heading = make('h3', { class: 'group-title' });
  const body = make('div', { class: 'group-body' });
  const element = make('section', { class: 'group' }, heading, body);
  const inside = contents(body, () => shownChildren(node), env);
  const label = () => titled(heading, node);
  label();
  return {
    element,
    update() {
      label();
      inside.update();
    },
    questions: inside.questions,
    destroy: inside.destroy,
  };
}

function titled(heading, node) {
  const range = node.currentState.label;
  heading.hidden = !range?.asString.trim();
  if (heading.dataset.text === range?.asString) return;
  heading.dataset.text = range?.asString ?? '';
  heading.replaceChildren(drawn(range));
}

/** A repeat inside a page: every turn with its button to remove it, and the one to add another. */
function repeatView(node, env) {
  const turns = make('div', { class: 'turns' });
  const add = make('button', { type: 'button', class: 'second add' });
  const element = make('section', { class: 'group repeat' }, turns, isOpenEnded(node) ? add : '');
  const inside = contents(turns, () => shownChildren(node), env);
  add.addEventListener('click', () => env.addTurn(node));
  const label = () => {
    const name = node.currentState.label?.asString.trim();
    add.textContent = `+ ${name ? env.t('add', { label: name }) : env.t('add_plain')}`;
  };
  label();

  return {
    element,
    update() {
      label();
      inside.update();
    },
    questions: inside.questions,
    destroy: inside.destroy,
  };
}

/** One turn on a page. */
function turnView(turn, env) {
  const heading = make('h3', { class: 'group-title', tabindex: '-1' });
  const body = make('div', { class: 'group-body' });
  const remove = make('button', { type: 'button', class: 'plain remove' }, env.t('remove'));
  remove.addEventListener('click', () => env.removeTurn(turn));
  const removable = isOpenEnded(turn.parent);
  const element = make('section', { class: 'turn' }, heading, body, removable ? remove : '');
  const inside = contents(body, () => shownChildren(turn), env);
  const update = () => {
    heading.textContent = turnName(turn, env.t);
    remove.setAttribute('aria-label', `${env.t('remove')}: ${heading.textContent}`);
    inside.update();
  };
  update();
  return { element, update, questions: inside.questions, destroy: inside.destroy };
}

/** A turn's name: the repeat's label and which one it is. */
export function turnName(turn, t) {
  const label = turn.parent.currentState.label?.asString.trim();
  const n = turnNumber(turn);
  return label ? t('turn', { label, n }) : t('turn_plain', { n });
}

/** What is written above a page: the groups and turns it lies in. */
export function trailNames(trail, t) {
  return trail
    .map((node) =>
      node.nodeType === 'repeat-instance' ? turnName(node, t) : node.currentState.label?.asString.trim(),
    )
    .filter(Boolean);
}
