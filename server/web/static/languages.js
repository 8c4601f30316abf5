// Languages: of the form, and with it of the interface; the choice is kept on the phone.

import { make } from './elements.js';
import { lang, setLang, t } from './words.js';

const KEPT = 'watphon:lang';
const NAMES = { th: 'ไทย', en: 'English' };

/** The language to begin with: the address's, the one chosen before, the server's, the phone's. */
export function firstLanguage(config) {
  const asked = new URLSearchParams(location.search).get('lang');
  return asked || kept() || config?.lang || navigator.language;
}

function kept() {
  try {
    return localStorage.getItem(KEPT);
  } catch {
    return null;
  }
}

function keep(code) {
  try {
    localStorage.setItem(KEPT, code);
  } catch {
    // A phone that keeps nothing asks again the next time.
  }
}

/** The code of a form's language: "ไทย (th)" is th. */
export function code(language) {
  return (language.locale?.language ?? /\(([a-z]{2,3})/i.exec(language.language)?.[1] ?? '').toLowerCase();
}

function nameOf(language) {
  if (language.language === 'default' || !language.language) return t('default_language');
  return language.language.replace(/\s*\([a-z-]+\)\s*$/i, '') || language.language;
}

/** Bring a form and the interface to the language `wanted`, as far as the form has it. */
export function speak(root, wanted) {
  const languages = root.languages.filter((one) => !one.isSyntheticDefault);
  const found = languages.find((one) => code(one) === wanted.slice(0, 2).toLowerCase());
  if (found) root.setLanguage(found);
  setLang(wanted);
  const active = root.currentState.activeLanguage;
  document.documentElement.lang = code(active) || wanted.slice(0, 2).toLowerCase() || 'th';
}

/** Draw the switch; `changed(code)` after a choice. Without a form (`root` null) for the interface. */
export function drawLanguages(place, root, changed) {
  const known = (root?.languages ?? []).filter((one) => !one.isSyntheticDefault && code(one));
  const choices = known.length > 1 ? known.map((one) => [code(one), nameOf(one)]) : Object.entries(NAMES);
  const active = document.documentElement.lang;
  const choose = (wanted) => {
    keep(wanted);
    if (root) speak(root, wanted);
    else setLang(wanted);
    drawLanguages(place, root, changed);
    changed(wanted);
  };
  if (choices.length === 2) {
    const interfaceCode = known.length > 1 ? active : lang();
    const [other, name] = choices.find(([one]) => one !== interfaceCode) ?? choices[0];
    const button = make('button', { type: 'button', class: 'language', lang: other }, name);
    button.addEventListener('click', () => {
      choose(other);
      place.querySelector('button')?.focus();
    });
    place.replaceChildren(button);
    return;
  }
  const select = make('select', { 'aria-label': t('language') });
  for (const [one, name] of choices)
    select.append(make('option', { value: one, lang: one, selected: one === active }, name));
  select.addEventListener('change', () => choose(select.value));
  place.replaceChildren(select);
}
