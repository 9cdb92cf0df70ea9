/** An image whose bytes are in the text is not shown as text while they arrive. */

import type MarkdownIt from "markdown-it";

/** An image whose address goes on to the end of the text. No bracket in it: each `![` ends the search. */
const UNFINISHED = /!\[([^[\]\n]*)\]\(<?data:image\/[\w.+-]+;base64,[\w+/=]*$/y;

/** Takes the beginning of an image in `data:` for an image without an address in `markdown`. */
export function growingImage(markdown: MarkdownIt): void {
  markdown.inline.ruler.before("image", "growing_image", (state, silent) => {
    if (!state.src.startsWith("![", state.pos)) return false;
    UNFINISHED.lastIndex = state.pos;
    const match = UNFINISHED.exec(state.src);
    if (!match) return false;
    state.pos = state.posMax;
    if (silent) return true;
    const image = state.push("image", "img", 0);
    image.attrs = [["src", "data:"]];
    image.content = match[1] ?? "";
    return true;
  });
}
