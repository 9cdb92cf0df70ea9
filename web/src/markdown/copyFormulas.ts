/**
 * Copying a formula gives its LaTeX.
 *
 * A browser copies the letters of MathML without their meaning: of a fraction two numbers beside each
 * other. So while a selection with formulas in it is copied, each of them is replaced by how it was
 * written, and the browser itself makes the text of that, with the line breaks that it shows.
 */

/** What is copied of a formula: its TeX if it is all that is selected, otherwise as it was written. */
export interface Copied {
  readonly tex: string;
  readonly source: string;
}

const copiedOf = new WeakMap<Element, Copied>();

/** Have `copied` be what is copied of `element`, which is an element of the class `formula-output`. */
export function setCopied(element: Element, copied: Copied): void {
  copiedOf.set(element, copied);
}

/** Copy formulas as LaTeX from now on. */
export function copyFormulas(): void {
  document.addEventListener("copy", copy);
}

function copy(event: ClipboardEvent): void {
  const { clipboardData, target } = event;
  if (!clipboardData || event.defaultPrevented || isField(target)) return;
  const selection = getSelection();
  if (!selection?.rangeCount || selection.isCollapsed) {
    const focused = target instanceof Element ? target.closest(".formula") : null;
    put(clipboardData, event, focused && texIn(focused));
    return;
  }
  const range = selection.getRangeAt(0);
  const [first, last] = [outputAt(range.startContainer), outputAt(range.endContainer)];
  if (first && first === last) {
    put(clipboardData, event, copiedOf.get(first)?.tex);
    return;
  }
  const outputs = [...document.querySelectorAll<HTMLElement>(".formula-output")].filter(
    (output) => copiedOf.has(output) && range.intersectsNode(output),
  );
  if (!outputs.length) return;
  const { text, html } = written(selection, range, outputs, first, last);
  put(clipboardData, event, text);
  clipboardData.setData("text/html", html);
}

function isField(target: EventTarget | null): boolean {
  return target instanceof HTMLTextAreaElement || target instanceof HTMLInputElement;
}

function put(data: DataTransfer, event: Event, text: string | null | undefined): void {
  if (!text) return;
  data.setData("text/plain", text);
  event.preventDefault();
}

function texIn(formula: Element): string | undefined {
  const output = formula.querySelector(".formula-output");
  return output ? copiedOf.get(output)?.tex : undefined;
}

/** The formula that `node` is in. */
function outputAt(node: Node): Element | null {
  return (node instanceof Element ? node : node.parentElement)?.closest(".formula-output") ?? null;
}

/** The selection with `outputs` as they were written. All is as before when it returns. */
function written(
  selection: Selection,
  range: Range,
  outputs: readonly HTMLElement[],
  first: Element | null,
  last: Element | null,
): { text: string; html: string } {
  const { anchorNode, anchorOffset, focusNode, focusOffset } = selection;
  const whole = range.cloneRange();
  const sources = outputs.map((output) => {
    const source = document.createElement("span");
    source.textContent = copiedOf.get(output)?.source ?? "";
    source.style.whiteSpace = "pre-wrap";
    output.before(source);
    return source;
  });
  // Of a formula that is selected in part, all is copied.
  const [start, end] = [sources[0], sources.at(-1)];
  if (first && start) whole.setStartBefore(start);
  if (last && end) whole.setEndAfter(end);
  for (const output of outputs) output.hidden = true;
  try {
    selection.removeAllRanges();
    selection.addRange(whole);
    const box = document.createElement("div");
    box.append(whole.cloneContents());
    for (const output of box.querySelectorAll(".formula-output")) output.remove();
    return { text: selection.toString(), html: box.innerHTML };
  } finally {
    for (const source of sources) source.remove();
    for (const output of outputs) output.hidden = false;
    if (anchorNode && focusNode)
      selection.setBaseAndExtent(anchorNode, anchorOffset, focusNode, focusOffset);
  }
}
