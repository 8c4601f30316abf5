// The interface's own words, Thai and English side by side. Words of a form come from the form.
//
// Each part of the form page adds its keys in its own section; `{name}` in a text is replaced by
// the value of that name. A key without a text in the language falls back to the other one.

const WORDS = {
  // --- pages and buttons -------------------------------------------------------------------
  next: ['ถัดไป', 'Next'],
  back: ['ย้อนกลับ', 'Back'],
  send: ['ส่งแบบ', 'Send'],
  sending: ['กำลังบันทึกเพื่อส่ง…', 'Saving for sending…'],
  loading: ['กำลังเปิดแบบ…', 'Opening the form…'],
  progress: ['หน้า {at} จาก {of}', 'Page {at} of {of}'],
  menu: ['เมนู', 'Menu'],
  close: ['ปิด', 'Close'],
  overview: ['ดูทุกข้อ', 'All questions'],
  one_page: ['แสดงทุกข้อในหน้าเดียว', 'Show everything on one page'],
  paged: ['แสดงทีละหน้า', 'Show one page at a time'],
  all_forms: ['แบบทั้งหมด', 'All forms'],
  to_end: ['ไปหน้าตรวจทาน', 'Go to the check page'],
  language: ['ภาษา', 'Language'],
  default_language: ['ภาษาของแบบ', 'Form language'],
  required: ['ต้องตอบ', 'required'],
  guidance: ['คำแนะนำเพิ่มเติม', 'More guidance'],
  saved: ['บันทึกร่างแล้ว', 'Draft saved'],
  not_saved: [
    'เครื่องนี้บันทึกร่างไม่ได้ อย่าปิดหน้านี้ก่อนส่ง',
    'This phone cannot keep a draft. Do not close this page before sending.',
  ],
  // --- answers -----------------------------------------------------------------------------
  choose: ['เลือก…', 'Choose…'],
  clear: ['ล้างคำตอบ', 'Clear the answer'],
  no_choices: ['ยังไม่มีรายการให้เลือก ตรวจคำตอบข้อก่อนหน้า', 'Nothing to choose from yet; check the answers before'],
  understood: ['รับทราบ', 'OK'],
  day: ['วัน', 'Day'],
  month: ['เดือน', 'Month'],
  year_be: ['ปี พ.ศ.', 'Year (B.E.)'],
  year_ce: ['ปี ค.ศ.', 'Year (C.E.)'],
  today: ['วันนี้', 'Today'],
  now: ['ตอนนี้', 'Now'],
  time: ['เวลา', 'Time'],
  sign: ['เปลี่ยนเครื่องหมายบวกลบ', 'Change the sign, plus or minus'],
  open_link: ['เปิดลิงก์', 'Open the link'],
  unanswered: ['ยังไม่ตอบ', 'not answered'],
  // --- what is wrong -----------------------------------------------------------------------
  error_required: ['กรุณาตอบข้อนี้', 'Please answer this question'],
  error_constraint: ['คำตอบนี้ใช้ไม่ได้ กรุณาตรวจอีกครั้ง', 'This answer is not valid. Please check it.'],
  error_integer: ['กรุณากรอกเป็นจำนวนเต็ม เช่น 25', 'Please enter a whole number, for example 25'],
  error_too_big: ['ตัวเลขนี้มากเกินไป', 'This number is too large'],
  error_decimal: ['กรุณากรอกเป็นตัวเลข เช่น 12.5', 'Please enter a number, for example 12.5'],
  error_date: ['วันที่ยังไม่ครบหรือไม่มีในปฏิทิน', 'The date is incomplete or does not exist'],
  error_year: ['ปีไม่ถูกต้อง กรุณาใส่ปี พ.ศ. 4 หลัก เช่น 2564', 'Please enter a B.E. year of 4 digits, for example 2564'],
  error_year_ce: ['ปีไม่ถูกต้อง กรุณาใส่ปี ค.ศ. 4 หลัก เช่น 2021', 'Please enter a year of 4 digits, for example 2021'],
  error_time: ['เวลายังไม่ครบ', 'The time is incomplete'],
  errors_here: ['ต้องแก้ {count} ข้อในหน้านี้: {first}', '{count} to correct on this page: {first}'],
  widget_failed: [
    'เปิดช่องตอบข้อนี้ไม่ได้ ตรวจสัญญาณแล้วลองใหม่',
    'This question could not be opened. Check the signal and try again.',
  ],
  try_again: ['ลองใหม่', 'Try again'],
  // --- repeats -----------------------------------------------------------------------------
  turn: ['{label} ลำดับที่ {n}', '{label} {n}'],
  turn_plain: ['ชุดที่ {n}', 'Set {n}'],
  add: ['เพิ่ม{label}', 'Add {label}'],
  add_plain: ['เพิ่มอีกชุด', 'Add another'],
  add_question: ['มีอีกหรือไม่', 'Is there another?'],
  add_count: ['มีแล้ว {count} ชุด', '{count} so far'],
  add_none: ['ยังไม่มี', 'None yet'],
  add_hint: ['ถ้าไม่มีแล้ว กด “ถัดไป”', 'If there is none, press Next'],
  remove: ['ลบชุดนี้', 'Remove this'],
  remove_sure: ['ลบ “{label}” และคำตอบในชุดนี้ทั้งหมดหรือไม่', 'Remove “{label}” with all its answers?'],
  remove_yes: ['ลบ', 'Remove'],
  cancel: ['ไม่ลบ', 'Keep it'],
  added: ['เพิ่มแล้ว', 'Added'],
  removed: ['ลบแล้ว', 'Removed'],
  // --- the last page -----------------------------------------------------------------------
  end_title: ['ตรวจทานก่อนส่ง', 'Check before sending'],
  end_good: ['ตอบครบทุกข้อที่ต้องตอบแล้ว', 'Every required question is answered'],
  end_bad: ['ยังส่งไม่ได้ ต้องแก้ {count} ข้อ', 'Not ready yet: {count} to correct'],
  end_unanswered: ['ไม่ได้ตอบ {count} ข้อ (ไม่บังคับ)', '{count} optional questions not answered'],
  end_jump: ['กดที่ข้อเพื่อไปแก้', 'Tap a question to go to it'],
  // --- received or waiting -----------------------------------------------------------------
  done_title: ['บันทึกแบบแล้ว ขอบคุณ', 'Saved. Thank you'],
  done_waiting: [
    'รอส่ง: แบบเก็บอยู่ในเครื่องนี้ และจะส่งเองเมื่อมีสัญญาณ',
    'Waiting: the form is kept on this phone and is sent by itself when there is a signal',
  ],
  done_received: ['ส่งถึงแล้ว', 'Received'],
  done_next: ['คนต่อไป', 'Next person'],
  done_again: ['กรอกอีกชุด', 'Fill in another'],
  done_edit: ['แก้ไขเรียบร้อย', 'Correction saved'],
  queue_failed: [
    'บันทึกเพื่อส่งไม่ได้: {reason} คำตอบยังอยู่ในหน้านี้ กรุณาลองอีกครั้ง',
    'Could not be saved for sending: {reason}. The answers are still on this page; please try again.',
  ],
  too_large: [
    'ไฟล์แนบใหญ่ {size} MB เกินที่เครื่องแม่รับได้ {limit} MB กรุณาใช้ไฟล์ที่เล็กกว่านี้',
    'A file of {size} MB is attached; the server takes {limit} MB. Please use a smaller one.',
  ],
  // --- drafts, people, links ---------------------------------------------------------------
  drafts_title: ['มีแบบที่ทำค้างไว้', 'There are unfinished forms'],
  draft_continue: ['ทำต่อ', 'Continue'],
  draft_of: ['ค้างไว้เมื่อ {when}', 'left on {when}'],
  draft_new: ['เริ่มแบบใหม่', 'Start a new one'],
  draft_discard: ['ทิ้งร่างนี้', 'Discard this draft'],
  discard_sure: ['ทิ้งคำตอบทั้งหมดของร่างนี้หรือไม่', 'Discard all answers of this draft?'],
  discard_yes: ['ทิ้ง', 'Discard'],
  discard_no: ['เก็บไว้', 'Keep'],
  kept_answers: ['คำตอบเดิมที่ไม่ได้ย้ายมา ({count})', 'Answers not carried over ({count})'],
  person_used: [
    'รหัส {code} ทำแบบนี้บนเครื่องนี้แล้ว {when} ถ้าเป็นคนเดียวกันไม่ต้องทำซ้ำ',
    'Code {code} was already used for this form on this phone {when}. If it is the same person, no need to fill it again.',
  ],
  prefill_refused: ['ค่าในลิงก์ใช้ไม่ได้: {names}', 'The link carried a value that is not valid: {names}'],
  edit_title: ['แก้ไขแบบที่ส่งแล้ว', 'Correcting a sent form'],
  // --- what stops a form -------------------------------------------------------------------
  failed_title: ['เปิดแบบไม่ได้', 'The form cannot be opened'],
  failed_network: [
    'โหลดแบบไม่ได้ ตรวจสัญญาณแล้วลองใหม่ ({reason})',
    'The form could not be loaded. Check the signal and try again ({reason}).',
  ],
  failed_form: [
    'แบบนี้มีข้อผิดพลาด กรุณาแจ้งผู้ดูแลระบบพร้อมข้อความนี้: {reason}',
    'This form has a mistake. Please tell the administrator, with this text: {reason}',
  ],
  failed_store: [
    'เบราว์เซอร์นี้เก็บข้อมูลไม่ได้ (อาจเป็นโหมดส่วนตัว) จึงรับคำตอบไว้ไม่ได้ กรุณาเปิดในหน้าต่างปกติ ({reason})',
    'This browser keeps nothing (a private window?), so answers would be lost. Please open the form in an ordinary window ({reason}).',
  ],
  failed_edit: ['เปิดแบบที่ส่งแล้วไม่ได้ ({reason})', 'The sent form could not be opened ({reason})'],
  list_missing: [
    'รายการ {names} ยังโหลดไม่ได้ ข้อที่ใช้รายการนี้จะว่าง ต่ออินเทอร์เน็ตแล้วเปิดใหม่',
    'The list {names} could not be loaded; questions that use it are empty. Go online and open the form again.',
  ],
};

let current = 'th';

/** The interface's language: `th` or `en`. */
export function lang() {
  return current;
}

/** Choose the interface's language; anything that is not Thai is answered in English. */
export function setLang(code) {
  current = code?.toLowerCase().startsWith('th') ? 'th' : 'en';
}

/** The text of `key` in the interface's language, its `{names}` filled from `values`. */
export function t(key, values = {}) {
  const pair = WORDS[key];
  if (!pair) throw new Error(`no words for "${key}"`);
  const text = (current === 'th' ? pair[0] : pair[1]) || pair[0] || pair[1];
  return text.replace(/\{(\w+)\}/g, (_, name) => String(values[name] ?? ''));
}

/** Add a part's own words: `{key: [Thai, English]}`. */
export function addWords(words) {
  Object.assign(WORDS, words);
}

/** A moment as people here write it: Buddhist year in Thai, and the time. */
export function moment(when) {
  const date = new Date(when);
  const locale = current === 'th' ? 'th-TH-u-ca-buddhist' : 'en-GB';
  return date.toLocaleString(locale, { dateStyle: 'medium', timeStyle: 'short' });
}
