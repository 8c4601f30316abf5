// A code: scanned live, read from a photo where the page may not open the camera, or typed.

import { make, mark } from '../elements.js';
import { described, plainDigits } from './text.js';
import { liveCamera } from './camera.js';
import { decodePhoto } from './codes.js';
import { picker } from './filing.js';
import './words.js';

/** A barcode or QR question. */
export function scan(node, tools) {
  const live = Boolean(globalThis.isSecureContext && navigator.mediaDevices?.getUserMedia);
  const control = make('input', {
    ...described(tools), type: 'text', autocomplete: 'off', autocapitalize: 'off', spellcheck: 'false', enterkeyhint: 'next', class: 'scan-typed', placeholder: tools.t('scan_typed'),
  });
  const told = make('p', { class: 'file-told', role: 'status', hidden: true });
  const say = (words, bad = false) => {
    told.textContent = words ?? '';
    told.hidden = !words;
    told.classList.toggle('bad', bad);
  };
  let camera = null;
  let gone = false;

  function got(text) {
    if (gone) return;
    const code = text.trim();
    camera?.close();
    node.setValue(code);
    say(tools.t('scan_done', { code }));
    tools.announce(tools.t('scan_done', { code }));
    navigator.vibrate?.(80);
    tools.check?.();
  }

  const button = make('button', { type: 'button', class: 'wide scan-live' }, tools.t('scan'));
  button.addEventListener('click', () => {
    if (camera) return;
    say(null);
    camera = liveCamera(node, tools, {
      got,
      failed: () => say(tools.t('no_camera'), true),
      photo: () => photo.button.click(),
      closed() {
        camera = null;
        button.focus({ preventScroll: true });
      },
    });
  });
  const photo = picker(
    tools.t('scan_photo'),
    'image/*',
    async (file) => {
      say(tools.t('scan_looking'));
      const text = await decodePhoto(file);
      if (gone) return;
      if (text === null) say(tools.t('scan_nothing'), true);
      else got(text);
    },
    { capture: 'environment', style: live ? 'plain scan-photo' : 'wide scan-photo' },
  );
  const buttons = make('div', { class: 'scan-buttons' }, live ? button : '', photo.button, photo.input);
  const hint = live ? '' : make('p', { class: 'q-hint' }, tools.t('camera_not_secure'));

  control.addEventListener('input', () => {
    say(null);
    node.setValue(plainDigits(control.value).trim());
  });
  control.addEventListener('change', () => tools.check?.());

  return {
    element: make('div', { class: 'scan' }, buttons, hint, control, told),
    update(state) {
      if (plainDigits(control.value).trim() !== state.instanceValue) control.value = state.instanceValue;
      control.readOnly = state.readonly;
      buttons.hidden = state.readonly;
      mark(control, 'aria-required', state.required ? 'true' : null);
    },
    destroy() {
      gone = true;
      camera?.close();
    },
  };
}
