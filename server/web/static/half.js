// What somebody is still typing: the last word of the control that has the focus, and entries that
// are no answer yet ("4x", a date without its year). One place for all widgets; they outlive a page
// that is drawn anew and go with the draft.

const TYPED = 'input:not([type=file], [type=radio], [type=checkbox], [type=range], [role=combobox]), textarea, select';

/**
 * Follow what is typed inside `place`; `heard()` after each stroke. `commit()` tells the widget of
 * what stands in the control that was last in use and that it has not been told of.
 */
export function typing(place, heard) {
  const known = new WeakMap();
  let last = null;
  const entered = ({ target }) => {
    last = target;
    known.set(target, target.value);
  };
  const typed = ({ target }) => {
    known.set(target, target.value);
    heard();
  };
  place.addEventListener('focusin', entered);
  place.addEventListener('input', typed);
  return {
    commit() {
      if (!last?.matches(TYPED) || !place.contains(last) || last.readOnly || last.disabled) return;
      if (known.get(last) === last.value) return;
      for (const name of ['input', 'change']) last.dispatchEvent(new Event(name, { bubbles: true }));
    },
    stop() {
      place.removeEventListener('focusin', entered);
      place.removeEventListener('input', typed);
    },
  };
}

/** What is typed in the controls below an element; null where nothing is. */
export function standing(element) {
  const values = [...element.querySelectorAll(TYPED)].map((control) => control.value);
  return values.some(Boolean) ? values : null;
}

/** Type it again. */
export function typeAgain(element, values) {
  const controls = [...element.querySelectorAll(TYPED)];
  controls.forEach((control, at) => {
    control.value = values[at] ?? '';
  });
  controls[0]?.closest('details')?.setAttribute('open', '');
  controls[0]?.dispatchEvent(new Event('input', { bubbles: true }));
}

/** The unfinished entries of a form by their question's path, beginning with those of a draft. */
export function halfEntries(begun) {
  const kept = new Map(Object.entries(begun ?? {}));
  return {
    /** Take note of the entries in some views; what became an answer is let go. */
    note(views) {
      for (const view of views) {
        const half = view.half();
        const path = view.node.currentState.reference;
        if (half) kept.set(path, { half, unfinished: Boolean(view.unfinished()) });
        else if (half === null) kept.delete(path);
      }
    },
    of: (node) => kept.get(node.currentState.reference)?.half ?? null,
    /** The first of these questions whose entry is no answer yet. */
    first: (nodes) =>
      nodes.find(({ currentState }) => kept.get(currentState.reference)?.unfinished && currentState.instanceValue === ''),
    all: () => Object.fromEntries(kept),
  };
}
