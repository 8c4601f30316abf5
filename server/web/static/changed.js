// A form that has changed since a draft was begun: the answers that are not carried over, shown to
// the person, and the whole draft as it was, as a file.

import { sheet } from './dialogs.js';
import { make } from './elements.js';
import { drawLanguages } from './languages.js';
import { download, exported } from './exporting.js';
import { addWords, moment, t } from './words.js';

addWords({
  changed_title: ['แบบนี้มีรุ่นใหม่', 'This form has a new version'],
  changed_lost: [
    'แบบเปลี่ยนไปหลังจากทำค้างไว้เมื่อ {when} คำตอบ {count} ข้อนี้ไม่มีที่ในแบบใหม่ จึงจะไม่ถูกส่ง คำตอบข้ออื่นอยู่ครบ',
    'The form has changed since {when}. These answers ({count}) have no place in the new version and will not be sent. All others are carried over.',
  ],
  changed_kept: [
    'คำตอบเดิมยังเก็บไว้ในเครื่องนี้จนกว่าแบบนี้จะส่งถึง เปิดดูได้จากเมนู',
    'They stay on this phone until this form has been received; the menu shows them.',
  ],
  changed_go: ['ทำต่อ', 'Continue'],
  changed_save: ['บันทึกคำตอบเดิมเป็นไฟล์', 'Save the earlier answers as a file'],
  changed_refused: [
    'เปิดร่างที่ทำค้างไว้เมื่อ {when} ไม่ได้ เพราะแบบเปลี่ยนไปแล้ว ร่างยังเก็บอยู่ในเครื่อง คำตอบในร่างคือ',
    'The draft of {when} could not be opened because the form has changed. It is still on this phone. Its answers are:',
  ],
  changed_new: ['เริ่มแบบใหม่', 'Start a new one'],
});

/** Say what is not carried over of `kept` (`{id, form, updatedAt, data, lost}`); then `go()`. */
export function changedScreen(shell, kept, go) {
  screen(shell, kept, ['changed_lost', 'changed_kept', 'changed_go'], go);
}

/** Say that a draft cannot be opened at all, with all that it holds; then `go()`. */
export function refusedScreen(shell, kept, go) {
  screen(shell, kept, ['changed_refused', null, 'changed_new'], go);
}

function screen(shell, kept, keys, go) {
  const [why, more, words] = keys.map((key) => key && t(key, { when: moment(kept.updatedAt), count: kept.lost.length }));
  const heading = make('h2', { class: 'page-title', tabindex: '-1' }, t('changed_title'));
  const on = make('button', { type: 'button', class: 'wide' }, words);
  on.addEventListener('click', go);
  shell.only(heading, make('p', { class: 'notice', role: 'status' }, why), answers(kept.lost), more ? make('p', {}, more) : '', on, saving(kept));
  drawLanguages(shell.languages, null, () => screen(shell, kept, keys, go));
  heading.focus({ preventScroll: true });
}

/** What was not carried over into a draft or record, over the page. */
export function keptAnswers(before) {
  const parts = before.map((kept) => [make('p', {}, moment(kept.updatedAt)), answers(kept.lost), saving(kept)]);
  const count = before.reduce((sum, { lost }) => sum + lost.length, 0);
  return sheet(t('kept_answers', { count }), t('close'), ...parts.flat());
}

function answers(lost) {
  return make('dl', { class: 'kept' }, ...lost.flatMap(({ label, answer }) => [make('dt', {}, label), make('dd', {}, answer)]));
}

function saving({ id, form, data }) {
  const button = make('button', { type: 'button', class: 'second wide' }, t('changed_save'));
  button.addEventListener('click', async () => download(await exported({ instanceID: `${id}-before`, form, ...data })));
  return button;
}
