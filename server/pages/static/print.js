// A button that opens the browser's print dialogue; without scripts the browser's own menu does it.
for (const button of document.querySelectorAll('button[data-print]')) {
  button.hidden = false;
  button.addEventListener('click', () => print());
}
