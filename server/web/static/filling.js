// One person filling one form: the pages, the buttons under them, and what may not be left wrong.

import { mark } from './elements.js';
import { leaves } from './engine.js';
import { halfEntries, typing } from './half.js';
import { questions, questionsOf, screenOf, screens, wrong } from './pages.js';
import { anotherScreen, endScreen, everythingScreen, questionsScreen } from './screen.js';
import { turns } from './turns.js';
import { widgetFor } from './widgets/index.js';
import { lang, t } from './words.js';

const END = 'end';

/**
 * Fill an instance inside `shell` (the page's fixed parts, see shell.js).
 *
 * `options`: `{session, form, onePage, at, half, announce, send(), changed(), reload()}`; `at` is
 * the path of the question to begin at, `half` a draft's unfinished entries. Returns `{jump(node),
 * end(), place(), commit(), half(), rebuild(), onePage(on), destroy()}`.
 */
export function filling(shell, options) {
  const { session, announce } = options;
  const { root } = session;
  const shownErrors = new Set();
  let list = screens(root);
  let key = list[0]?.key ?? END;
  let all = options.onePage;
  let view = null;
  let seenEnd = false;
  let trail = [];
  let hurrying = null;
  const entries = halfEntries(options.half);
  const typed = typing(shell.main, () => options.changed(false));

  const env = {
    t,
    lang,
    announce,
    shownErrors,
    form: options.form,
    reload: options.reload,
    file: async (name) =>
      leaves(root).find((node) => node.nodeType === 'upload' && node.currentState.instanceValue === name)
        ?.currentState.value ?? null,
    half: entries.of,
    next: hurry,
    ...turns({
      main: shell.main,
      announce,
      view: () => view,
      screens: () => (list = screens(root)),
      all: () => all,
      show,
    }),
    toCorrect: (node) => jump(node, true),
  };

  const index = () =>
    key === END
      ? list.length
      : Math.max(
          0,
          list.findIndex((one) => one.key === key),
        );

  // --- drawing -----------------------------------------------------------------------------

  /** What is typed on the page is told to the engine, what is no answer yet is noted. */
  function commit() {
    typed.commit();
    if (view) entries.note(view.questions());
  }

  function build() {
    commit();
    view?.destroy();
    view = drawn();
    shell.main.replaceChildren(view.element);
    chrome();
  }

  function drawn() {
    if (all) return everythingScreen(root, shell.title.textContent, () => seenEnd, env);
    if (key === END) {
      seenEnd = true;
      return endScreen(root, env);
    }
    const { range } = list[index()];
    if (range) return anotherScreen(range, env);
    return questionsScreen(() => list[index()], t('progress', { at: index() + 1, of: list.length + 1 }), env);
  }

  /** Progress, and which buttons stand under the page. */
  function chrome() {
    const at = index();
    const last = all || key === END;
    shell.progress.hidden = all;
    shell.progress.max = list.length + 1;
    shell.progress.value = at + 1;
    const words = t('progress', { at: at + 1, of: list.length + 1 });
    mark(shell.progress, 'aria-label', words);
    shell.progressText.textContent = all ? '' : words;
    shell.back.hidden = all;
    shell.back.disabled = at === 0;
    shell.back.textContent = t('back');
    shell.next.textContent = t(last ? 'send' : 'next');
    shell.next.classList.toggle('send', last);
    shell.toEnd.hidden = last || !seenEnd;
    shell.toEnd.textContent = t('to_end');
  }

  function refresh() {
    const before = index();
    list = screens(root);
    if (key !== END && !all && !list.some((one) => one.key === key)) {
      key = list[Math.min(before, list.length - 1)]?.key ?? END;
      return build();
    }
    view.update();
    chrome();
  }

  // --- moving ------------------------------------------------------------------------------

  function show(wanted, { remember = true } = {}) {
    clearTimeout(hurrying);
    key = wanted;
    build();
    window.scrollTo(0, 0);
    shell.main.querySelector('.page-title')?.focus({ preventScroll: true });
    if (remember) {
      trail.push(key);
      history.pushState({ page: trail.length - 1 }, '');
    } else {
      trail[trail.length - 1] = key;
    }
    options.changed(true);
  }

  /** Mark what is wrong on this page and go there; true when nothing is. */
  function pageIsRight(wrongness = (one) => one.trouble()) {
    const views = view.questions();
    const bad = views.filter(wrongness);
    bad.forEach((one) => shownErrors.add(one.node.nodeId));
    view.update();
    views.forEach((one) => one.update());
    if (!bad.length) return true;
    announce(t('errors_here', { count: bad.length, first: bad[0].trouble() }));
    bad[0].focus();
    return false;
  }

  /** Whether the page may be left other than forwards: an entry half typed would be lost unseen. */
  function mayLeave() {
    return all || pageIsRight((one) => one.unfinished());
  }

  /** On by itself soon after a touch, once, and only from the page that was touched. */
  function hurry() {
    const from = key;
    clearTimeout(hurrying);
    hurrying = setTimeout(() => !all && key === from && key !== END && next(), 200);
  }

  function next() {
    if (all || key === END) return send();
    typed.commit();
    if (!pageIsRight()) return undefined;
    const following = list[index() + 1];
    return show(following ? following.key : END);
  }

  /** Enter on a phone's keyboard in a line of text: on to the next page. */
  function entered(event) {
    const typing = event.target.matches(
      'input:not([type=radio], [type=checkbox], [role=combobox], [aria-expanded])',
    );
    if (event.key !== 'Enter' || event.isComposing || event.defaultPrevented || !typing || all) return;
    event.preventDefault();
    next();
  }

  function back() {
    const before = list[index() - 1];
    if (!before || !mayLeave()) return;
    if (trail.at(-2) === before.key) history.back();
    else show(before.key, { remember: false });
  }

  /** The phone's own way back. */
  function popped({ state }) {
    const wanted = trail[state?.page ?? 0];
    if (wanted === undefined) return;
    if (!mayLeave()) {
      history.pushState({ page: trail.length - 1 }, '');
      return;
    }
    trail = trail.slice(0, (state?.page ?? 0) + 1);
    const known = wanted === END || list.some((one) => one.key === wanted);
    show(known ? wanted : list[0].key, { remember: false });
  }

  /** To a question, with the focus on it; `correct`: and what is wrong with it said. */
  function jump(node, correct = false) {
    if (!mayLeave()) return;
    if (correct) shownErrors.add(node.nodeId);
    if (!all) {
      const at = screenOf(list, node);
      if (at < 0) return;
      show(list[at].key);
    }
    const found = view.questions().find((one) => one.node === node);
    found?.update();
    found?.focus();
    if (correct && found?.trouble()) announce(found.trouble());
  }

  async function send() {
    commit();
    const half = entries.first(questions(root));
    if (half && !all) return jump(half, true);
    const unfinished = all ? !pageIsRight() : false;
    const problems = wrong(root);
    seenEnd = true;
    if (!unfinished && !problems.length) return options.send();
    problems.forEach(({ node }) => shownErrors.add(node.nodeId));
    if (all) {
      view.update();
      pageIsRight();
    } else {
      build();
      announce(t('end_bad', { count: problems.length }));
      shell.main.querySelector('.jump')?.focus();
    }
    return undefined;
  }

  // --- beginning and ending ----------------------------------------------------------------

  const stop = session.watch(() => {
    refresh();
    options.changed(false);
  });
  shell.next.onclick = next;
  shell.back.onclick = back;
  shell.toEnd.onclick = () => mayLeave() && show(END);
  window.addEventListener('popstate', popped);
  shell.main.addEventListener('keydown', entered);

  const first =
    options.at &&
    list.find((one) => questionsOf(one).some((node) => node.currentState.reference === options.at));
  if (first) key = first.key;
  trail = [key];
  history.replaceState({ page: 0 }, '');
  build();

  return {
    jump,
    end: () => show(END),
    /** The path of the question in front of the person, for a draft. */
    place: () =>
      all || key === END
        ? null
        : (questionsOf(list[index()] ?? { nodes: [] }).at(-1)?.currentState.reference ?? null),
    commit,
    /** The entries that are no answer yet, for a draft. */
    half() {
      entries.note(view.questions());
      return entries.all();
    },
    /** Draw the page anew, in another language or another way. */
    rebuild() {
      list = screens(root);
      build();
    },
    onePage(on) {
      all = on;
      build();
      window.scrollTo(0, 0);
    },
    destroy() {
      stop();
      typed.stop();
      clearTimeout(hurrying);
      view?.destroy();
      window.removeEventListener('popstate', popped);
      shell.main.removeEventListener('keydown', entered);
    },
  };
}

/** Fetch the widgets of every question of a form; what fails is tried again when it is needed. */
export function fetchWidgets(root) {
  const nodes = root ? leaves(root).filter((node) => node.nodeType !== 'model-value') : [];
  return Promise.allSettled(nodes.map((node) => widgetFor(node).load()));
}
