// The picture, sound and film that a form puts beside a label.

import { make } from './elements.js';

/** The media elements of a text range; `form.media` gives a file's address. */
export function pictures(range, form) {
  const found = [];
  const address = (source) => source && form.media(source);
  const image = address(range?.imageSource);
  if (image) found.push(make('img', { src: image, alt: range.asString ?? '', loading: 'lazy' }));
  const sound = address(range?.audioSource);
  if (sound) found.push(make('audio', { src: sound, controls: true, preload: 'none' }));
  const film = address(range?.videoSource);
  if (film) found.push(make('video', { src: film, controls: true, preload: 'none', playsinline: true }));
  return found;
}
