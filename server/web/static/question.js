// One question on a page: its label, picture, hint, guidance, what is wrong with the answer, and
// the widget that takes the answer.

import { changes } from './engine.js';
import { make, mark } from './elements.js';
import { standing, typeAgain } from './half.js';
import { drawn } from './markdown.js';
import { pictures } from './pictures.js';
import { widgetFor } from './widgets/index.js';
import { GUIDANCE } from './xform.js';

/**
 * The view of a question: `{element, node, update(), unfinished(), half(), trouble(), focus(),
 * questions(), destroy()}`. `unfinished()` is what is wrong with an entry that is not an answer yet, or null;
 * `half()` that entry itself, for `env.half(node)` to give it back to the next view of the question;
 * `trouble()` is what keeps this answer from being taken, in words, or null.
 */
export function questionView(node, env) {
  const kind = widgetFor(node);
  const id = node.nodeId.replace(':', '-');
  const ids = {
    labelId: `${id}-label`,
    hintId: `${id}-hint`,
    errorId: `${id}-error`,
    controlId: `${id}-control`,
  };
  const note = node.nodeType === 'note';
  const labelTag = note ? 'div' : kind.group ? 'legend' : 'label';
  const label = make(labelTag, {
    class: 'q-label',
    id: ids.labelId,
    for: labelTag === 'label' ? ids.controlId : null,
  });
  const media = make('div', { class: 'q-media' });
  const hint = make('div', { class: 'q-hint', id: ids.hintId });
  const error = make('p', { class: 'q-error', id: ids.errorId, hidden: true });
  const place = make('div', { class: 'q-widget' });
  const element = make(
    kind.group ? 'fieldset' : 'div',
    { class: `q q-${node.nodeType}${kind.class ? ` ${kind.class}` : ''}`, 'data-node': node.nodeId },
    label,
    media,
    hint,
    error,
    place,
  );
  if (kind.group) {
    mark(element, 'aria-describedby', `${ids.hintId} ${ids.errorId}`);
    if (kind.group === 'radiogroup') mark(element, 'role', 'radiogroup');
  }

  const tools = {
    ...ids,
    t: env.t,
    lang: env.lang,
    announce: env.announce,
    form: env.form,
    file: env.file,
    reload: env.reload,
    next: env.next,
    check,
    label: () => node.currentState.label?.asString ?? '',
  };
  let widget = null;
  let gone = false;
  let seen = -1;

  const attach = (factory) => {
    if (gone) return;
    widget = factory(node, tools);
    place.replaceChildren(widget.element);
    widget.update(node.currentState);
    const half = env.half(node);
    if (half && widget.resume) widget.resume(half);
    else if (half && node.currentState.instanceValue === '') typeAgain(place, half);
    wrongness();
  };
  const load = () => {
    const found = kind.load();
    if (typeof found === 'function') attach(found);
    else found.then(attach).catch(failed);
  };
  const failed = (reason) => {
    console.warn('widget', reason);
    const again = make('button', { type: 'button', class: 'second' }, env.t('try_again'));
    again.addEventListener('click', load);
    place.replaceChildren(make('p', { class: 'q-error' }, env.t('widget_failed')), again);
  };

  function unfinished() {
    return widget?.problem?.() || null;
  }

  /** The message to show: an unfinished entry at once, the form's own rules once asked for. */
  function trouble() {
    const entry = unfinished();
    if (entry) return entry;
    if (note) return null;
    const violation = node.validationState?.violation;
    if (!violation) return null;
    const said = violation.message?.asString.trim();
    return said || env.t(violation.condition === 'required' ? 'error_required' : 'error_constraint');
  }

  /** Say at once what is wrong with the answer, as after a scan. */
  function check() {
    env.shownErrors.add(node.nodeId);
    wrongness();
  }

  function wrongness() {
    const message = env.shownErrors.has(node.nodeId) ? trouble() : null;
    error.hidden = !message;
    if (error.textContent !== (message ?? '')) error.textContent = message ?? '';
    element.classList.toggle('is-wrong', Boolean(message));
    const control = kind.group
      ? element
      : (document.getElementById(ids.controlId) ?? place.querySelector(`#${ids.controlId}`));
    if (kind.group !== true && control) mark(control, 'aria-invalid', message ? 'true' : null);
  }

  function texts(state) {
    label.replaceChildren(drawn(state.label ?? (note ? state.hint : null)));
    if (state.required && !state.readonly && !note) {
      label.append(
        make('span', { class: 'q-star', 'aria-hidden': 'true' }, ' *'),
        make('span', { class: 'vh' }, ` (${env.t('required')})`),
      );
    }
    label.hidden = !label.textContent.trim();
    const said = make('div', {}, drawn(state.label && state.hint ? state.hint : note ? null : state.hint));
    const more = guidance(said);
    hint.replaceChildren(...said.childNodes);
    hint.hidden = !hint.textContent.trim();
    hint.nextElementSibling.matches('details') && hint.nextElementSibling.remove();
    if (more)
      hint.after(make('details', { class: 'q-guidance' }, make('summary', {}, env.t('guidance')), more));
    media.replaceChildren(...pictures(state.label, env.form));
    if (kind.group === 'radiogroup') mark(element, 'aria-required', state.required ? 'true' : null);
  }

  const view = {
    element,
    node,
    unfinished,
    /** The entry that is no answer yet; null where there is none, undefined where nobody knows. */
    half() {
      if (!widget) return undefined;
      if (widget.half) return widget.half();
      return unfinished() ? standing(place) : null;
    },
    trouble,
    update() {
      const state = node.currentState;
      const now = changes(state);
      if (now !== seen) {
        seen = now;
        texts(state);
        widget?.update(state);
      }
      wrongness();
    },
    /** Put the focus where the answer is given; the element that got it. */
    focus() {
      const control = document.getElementById(ids.controlId);
      const target = [
        control,
        ...element.querySelectorAll('input, select, textarea, button, [tabindex]'),
      ].find(focusable);
      const found = target ?? element;
      if (!target) element.tabIndex = -1;
      found.focus({ preventScroll: true });
      element.scrollIntoView({ block: 'start' });
      return found;
    },
    questions: () => [view],
    destroy() {
      gone = true;
      widget?.destroy?.();
    },
  };
  load();
  view.update();
  return view;
}

function focusable(element) {
  return (
    element &&
    element.tabIndex >= 0 &&
    !element.disabled &&
    element.type !== 'hidden' &&
    element.getClientRects().length
  );
}

/** Cut what follows the guidance mark out of a hint; null where there is none. */
function guidance(hint) {
  for (const text of words(hint)) {
    const at = text.data.indexOf(GUIDANCE);
    if (at < 0) continue;
    const range = document.createRange();
    range.setStart(text, at);
    range.setEndAfter(hint.lastChild);
    const cut = make('div', {}, range.extractContents());
    for (const part of words(cut)) part.data = part.data.replace(GUIDANCE, '');
    for (const part of [...cut.querySelectorAll('p'), ...hint.querySelectorAll('p')]) {
      if (!part.textContent.trim()) part.remove();
    }
    return cut.textContent.trim() ? cut : null;
  }
  return null;
}

function words(element) {
  const walker = document.createTreeWalker(element, NodeFilter.SHOW_TEXT);
  const found = [];
  while (walker.nextNode()) found.push(walker.currentNode);
  return found;
}
