// The camera over the whole screen, looking for a code.

import { make, mark } from '../elements.js';
import { fitted, letGo } from './bitmap.js';
import { decodeCanvas, readyReader } from './codes.js';
import { wholeScreen } from './sheet.js';

const SIDE = 800; // pixels of a frame's longer side that are looked at
const REST = 80; // ms between two looks, so that a slow phone still answers
const WISHES = { video: { facingMode: { ideal: 'environment' }, width: { ideal: 1280 }, height: { ideal: 720 } }, audio: false };

/** Open the camera; `got(text)` once a code is read. Returns `{close()}`. */
export function liveCamera(node, tools, { got, failed, photo, closed }) {
  let stream = null;
  let open = true;
  const video = make('video', { class: 'camera-view', autoplay: true, muted: true, playsinline: true, 'aria-hidden': 'true' });
  video.muted = true;
  const sheet = wholeScreen(node, tools, 'camera', () => {
    open = false;
    stop();
    closed();
  });
  const light = make('button', { type: 'button', class: 'second', 'aria-pressed': 'false', hidden: true }, tools.t('scan_light'));
  const instead = make('button', { type: 'button', class: 'second' }, tools.t('scan_photo'));
  instead.addEventListener('click', () => {
    sheet.close();
    photo();
  });
  sheet.body.append(make('div', { class: 'camera-frame' }, video, make('div', { class: 'camera-aim', 'aria-hidden': 'true' })));
  sheet.foot.append(make('p', { class: 'q-hint', role: 'status' }, tools.t('scan_hold')), make('div', { class: 'row' }, light, instead));

  function stop() {
    stream?.getTracks().forEach((track) => track.stop());
    video.srcObject = null;
  }

  async function start() {
    const reader = readyReader();
    reader.catch(() => {}); // said below
    try {
      stream = await navigator.mediaDevices.getUserMedia(WISHES);
      if (!open) return stop();
      video.srcObject = stream;
      await video.play();
      await reader;
    } catch (error) {
      if (!open) return undefined;
      console.warn('camera', error.name);
      sheet.close();
      return failed();
    }
    torch(stream.getVideoTracks()[0], light);
    return look();
  }

  async function look() {
    const canvas = document.createElement('canvas');
    const context = canvas.getContext('2d', { willReadFrequently: true });
    try {
      for (let turn = 1; open; turn += 1) {
        if (video.videoWidth && document.visibilityState === 'visible') {
          const { width, height } = fitted(video.videoWidth, video.videoHeight, SIDE);
          canvas.width = width;
          canvas.height = height;
          context.drawImage(video, 0, 0, width, height);
          const text = await decodeCanvas(canvas, { soft: turn % 3 !== 0, both: turn % 4 === 0, fallback: turn % 5 === 0 });
          if (text !== null && open) return got(text);
        }
        await new Promise((resolve) => setTimeout(resolve, REST));
      }
    } finally {
      letGo(canvas);
    }
    return undefined;
  }

  start();
  return { close: sheet.close };
}

/** The light's button, where the camera has one. */
function torch(track, button) {
  if (!track.getCapabilities?.().torch) return;
  let on = false;
  button.hidden = false;
  button.addEventListener('click', async () => {
    try {
      await track.applyConstraints({ advanced: [{ torch: !on }] });
      on = !on;
      mark(button, 'aria-pressed', String(on));
    } catch {
      button.hidden = true; // said to have one, but does not let it be used
    }
  });
}
