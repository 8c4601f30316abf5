// Which questions make one page, and in which order the pages come.
//
// A page ("screen") is a field-list group, or one question together with the notes right before
// it; the questions of a repeat's turn are pages too, followed by one that asks for another turn.
// What is not relevant makes no page. Nothing here touches the document.

const FOLDED = ['field-list', 'table-list'];

/** A group or turn whose questions are shown together. */
export function together(node) {
  return FOLDED.some((name) => node.appearances?.[name]);
}

export function isRepeat(node) {
  return node.nodeType.startsWith('repeat-range');
}

/** Turns the person filling may add and remove. */
export function isOpenEnded(node) {
  return node.nodeType === 'repeat-range:uncontrolled';
}

export function isLeaf(node) {
  return node.currentState.children === null;
}

/** Whether a person sees this node now. */
export function shown(node) {
  const state = node.currentState;
  if (!state.relevant || node.nodeType === 'model-value') return false;
  if (isLeaf(node)) return true;
  if (isOpenEnded(node)) return true;
  return state.hasRelevantBodyNodes ?? true;
}

/** The children of a group, turn or form that are shown now. */
export function shownChildren(node) {
  return node.currentState.children.filter(shown);
}

/** Every question below `node` that is shown now, in order; `node` itself if it is one. */
export function questions(node) {
  if (!shown(node)) return [];
  return isLeaf(node) ? [node] : node.currentState.children.flatMap(questions);
}

/** Whether an answer can be given to this node. */
export function answerable(node) {
  return node.nodeType !== 'note' && !node.currentState.readonly && !node.appearances?.label;
}

/** Whether it has an answer. */
export function answered(node) {
  const { value, instanceValue } = node.currentState;
  if (node.nodeType === 'trigger') return value === true;
  return instanceValue !== '';
}

/**
 * The form's pages as `{key, trail, nodes}` or `{key, trail, range}` (asks for another turn).
 * `trail` are the groups and turns around the page, outermost first; `key` stays the same while
 * the page's last question is on it.
 */
export function screens(root) {
  const found = [];
  walk(root, [], found);
  return found;
}

function walk(parent, trail, found) {
  let notes = [];
  const flush = () => {
    if (notes.length) found.push(page(notes, trail));
    notes = [];
  };
  for (const node of shownChildren(parent)) {
    if (node.nodeType === 'note') {
      notes.push(node);
    } else if (isLeaf(node)) {
      found.push(page([...notes, node], trail));
      notes = [];
    } else if (isRepeat(node)) {
      flush();
      for (const turn of shownChildren(node)) {
        if (together(node)) found.push(whole(turn, trail));
        else walk(turn, [...trail, turn], found);
      }
      if (isOpenEnded(node)) found.push({ key: `add:${node.nodeId}`, trail, range: node, nodes: [] });
    } else if (together(node)) {
      flush();
      found.push(whole(node, trail));
    } else {
      flush();
      walk(node, [...trail, node], found);
    }
  }
  flush();
}

function page(nodes, trail) {
  return { key: nodes.at(-1).nodeId, trail, nodes };
}

function whole(group, trail) {
  return { key: group.nodeId, trail: [...trail, group], nodes: shownChildren(group) };
}

/** The questions of a page. */
export function questionsOf(screen) {
  return screen.nodes.flatMap(questions);
}

/** Where a question is: the index of its page; -1 where it is on none. */
export function screenOf(list, node) {
  return list.findIndex((screen) => screen.key === node.nodeId || questionsOf(screen).includes(node));
}

/** Which turn of its repeat this is, from 1. */
export function turnNumber(turn) {
  return turn.parent.currentState.children.indexOf(turn) + 1;
}

/** The questions that keep the form from being sent: `[{node, condition}]`. */
export function wrong(root) {
  return questions(root)
    .map((node) => ({ node, condition: node.validationState?.violation?.condition }))
    .filter((one) => one.condition);
}
