// Turns of a repeat: one more, one less, and where the person stands afterwards.

import { sure } from './dialogs.js';
import { turnName } from './render.js';
import { t } from './words.js';

/**
 * `addTurn(range)` and `removeTurn(turn)` on a page: `{main, announce, view(), screens(), all(),
 * show(key)}`, where `screens()` lists the pages anew and `all()` says whether there is one only.
 */
export function turns({ main, announce, view, screens, all, show }) {
  function addTurn(range) {
    range.addInstances();
    const list = screens();
    const turn = range.currentState.children.at(-1);
    announce(t('added'));
    const first = list.find((one) => one.trail.includes(turn));
    if (!all() && first && !onPage(turn, list)) return show(first.key);
    view().update();
    return view()
      .questions()
      .find((one) => within(one.node, turn))
      ?.focus();
  }

  async function removeTurn(turn) {
    const range = turn.parent;
    if (!(await sure(t('remove_sure', { label: turnName(turn, t) }), t('remove_yes'), t('cancel')))) return;
    const inPage = all() || onPage(turn, screens());
    range.removeInstances(range.currentState.children.indexOf(turn));
    screens();
    announce(t('removed'));
    if (inPage) {
      view().update();
      main.querySelector('.page-title')?.focus({ preventScroll: true });
    } else {
      show(`add:${range.nodeId}`);
    }
  }

  /** Whether a turn stands inside the page rather than on pages of its own. */
  function onPage(turn, list) {
    return (
      view()
        .questions()
        .some((one) => within(one.node, turn.parent)) && !list.some((one) => one.trail.includes(turn))
    );
  }

  return { addTurn, removeTurn };
}

function within(node, ancestor) {
  for (let one = node; one; one = one.parent) if (one === ancestor) return true;
  return false;
}
