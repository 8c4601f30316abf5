// A form's texts as elements: the engine reads the Markdown, this draws its tree.
//
// Only the elements listed here are ever made; HTML inside a text loses its tags, whoever wrote it.

const DRAWN = new Set([
  'a',
  'br',
  'div',
  'em',
  'h1',
  'h2',
  'h3',
  'h4',
  'h5',
  'h6',
  'li',
  'ol',
  'p',
  'span',
  'strong',
  'u',
  'ul',
]);
const HEADING = /^h[1-6]$/;
const LINK = /^(https?:|mailto:|tel:)/i;
const STYLES = ['color', 'text-align'];

/** A text range of the engine (label, hint, message) as a fragment. */
export function drawn(range) {
  const fragment = document.createDocumentFragment();
  for (const node of range?.formatted ?? []) fragment.append(draw(node));
  return fragment;
}

function draw(node) {
  if (node.role === 'child') return document.createTextNode(node.value);
  if (node.role === 'line-break') return document.createElement('br');
  if (node.role === 'html') {
    if (/^\s*<br\s*\/?>\s*$/i.test(node.unsafeHtml)) return document.createElement('br');
    return document.createTextNode(node.unsafeHtml.replace(/<!--[^]*?-->|<[^>]*>/g, ''));
  }
  const element = document.createElement(tag(node));
  if (HEADING.test(node.elementName)) element.className = `md-${node.elementName}`;
  if (element.localName === 'a') {
    element.href = node.url;
    element.target = '_blank';
    element.rel = 'noopener noreferrer';
  }
  for (const name of STYLES) {
    const value = node.properties?.style?.[name];
    if (value) element.style.setProperty(name, value);
  }
  for (const child of node.children ?? []) element.append(draw(child));
  return element;
}

/** Headings inside a text are words of the question, not of the page's outline. */
function tag(node) {
  if (HEADING.test(node.elementName)) return 'strong';
  if (node.elementName === 'a' && !LINK.test(node.url)) return 'span';
  return DRAWN.has(node.elementName) ? node.elementName : 'span';
}
