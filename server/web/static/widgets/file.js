// A file, a sound or a film: chosen, or recorded where the phone lets a page record.

import { make } from '../elements.js';
import { emptied, keeping, line, picker } from './filing.js';
import { most } from './sizes.js';
import './words.js';

/** What recorders write, best first, and the file name's ending that goes with it. */
const SOUNDS = [
  ['audio/mp4', 'm4a'],
  ['audio/webm;codecs=opus', 'webm'],
  ['audio/webm', 'webm'],
  ['audio/ogg;codecs=opus', 'ogg'],
];
const BITS = 48_000; // a second of speech

/** A question for a file of any kind, a sound or a film. */
export function file(node, tools) {
  const { accept, type } = node.nodeOptions.media;
  const kind = type === 'audio' || type === 'video' ? type : 'file';
  const holder = keeping(node, tools, (kept, address) => {
    const play = kind === 'file' ? [] : [make(kind, { class: 'play', src: address, controls: true, preload: 'metadata', playsinline: true, 'aria-label': tools.label?.() || kept.name })];
    return [...play, line(kept)];
  });
  const take = (original) => {
    holder.say(null);
    if (holder.put(original)) {
      const kept = node.currentState.value;
      tools.announce(tools.t('file_ready', { name: kept?.name ?? original.name, size: '' }).replace(/, $/, ''));
    }
  };

  const buttons = make('div', { class: 'row file-buttons' });
  const recorder = kind === 'audio' ? recording(tools, holder, take) : null;
  const camera = kind === 'video' ? picker(tools.t('film_take'), accept, take, { capture: 'environment', style: '', id: tools.controlId }) : null;
  const words = { audio: 'sound_choose', video: 'film_choose', file: 'file_choose' }[kind];
  const first = !recorder && !camera;
  const chooser = picker(tools.t(words), accept === '*' ? null : accept, take, { style: first ? '' : 'second', id: first ? tools.controlId : null });
  const remove = make('button', { type: 'button', class: 'plain remove', hidden: true }, tools.t('file_remove'));
  remove.addEventListener('click', () => {
    holder.say(null);
    emptied(node);
    buttons.querySelector('button').focus();
  });
  buttons.append(
    ...(recorder ? [recorder.button] : []),
    ...(camera ? [camera.button, camera.input] : []),
    chooser.button, chooser.input, remove,
  );

  return {
    element: make('div', { class: 'file' }, holder.element, buttons),
    update(state) {
      holder.update(state);
      if (first) {
        chooser.button.textContent = tools.t(state.value ? 'file_again' : words);
        chooser.button.classList.toggle('second', Boolean(state.value));
      }
      buttons.hidden = state.readonly;
      remove.hidden = !state.value;
    },
    destroy() {
      recorder?.stop();
      holder.destroy();
    },
  };
}

/** The button that records a sound; null where the page may not. */
function recording(tools, holder, take) {
  if (!globalThis.isSecureContext || !navigator.mediaDevices?.getUserMedia || !globalThis.MediaRecorder) return null;
  const found = SOUNDS.find(([type]) => MediaRecorder.isTypeSupported(type));
  if (!found) return null;
  const [type, ending] = found;
  const button = make('button', { type: 'button', id: tools.controlId }, tools.t('sound_record'));
  let going = null;

  async function start() {
    button.disabled = true;
    let stream;
    try {
      stream = await navigator.mediaDevices.getUserMedia({ audio: true });
    } catch {
      holder.say(tools.t('no_microphone'), true);
      return;
    } finally {
      button.disabled = false;
    }
    const recorder = new MediaRecorder(stream, { mimeType: type, audioBitsPerSecond: BITS });
    const parts = [];
    const began = Date.now();
    let size = 0;
    const clock = setInterval(() => {
      const seconds = Math.floor((Date.now() - began) / 1000);
      button.textContent = `${tools.t('sound_stop')} (${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, '0')})`;
    }, 500);
    recorder.ondataavailable = ({ data }) => {
      parts.push(data);
      size += data.size;
      if (size > most(tools.form.config) - 50_000 && recorder.state === 'recording') recorder.stop();
    };
    recorder.onstop = () => {
      clearInterval(clock);
      stream.getTracks().forEach((track) => track.stop());
      going = null;
      button.textContent = tools.t('sound_record');
      button.classList.remove('danger');
      const plain = type.split(';')[0];
      take(new File(parts, `sound.${ending}`, { type: plain }));
    };
    recorder.start(1000);
    going = recorder;
    holder.say(null);
    button.textContent = `${tools.t('sound_stop')} (0:00)`;
    button.classList.add('danger');
  }

  button.addEventListener('click', () => (going ? going.stop() : start()));
  return {
    button,
    stop() {
      if (going?.state === 'recording') going.stop();
    },
  };
}
