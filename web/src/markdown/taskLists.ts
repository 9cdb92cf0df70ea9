/** Task lists, as GitHub has them: `- [ ] to do` and `- [x] done`. */

import type MarkdownIt from "markdown-it";

/** Another mark or none before the text is no task: `[x](https://example.com)` is a link. */
const MARK = /^\[([ xX])\]\s+/;

/** What a list item's first paragraph knows if the item is a task. */
export interface Task {
  readonly isDone: boolean;
}

/** Adds task lists to `markdown`: the `meta` of a task's first text is its {@link Task}. */
export function taskLists(markdown: MarkdownIt): void {
  markdown.core.ruler.before("inline", "task_lists", ({ tokens }) => {
    tokens.forEach((token, index) => {
      if (token.type !== "inline" || tokens[index - 2]?.type !== "list_item_open") return;
      const mark = MARK.exec(token.content);
      if (!mark) return;
      token.content = token.content.slice(mark[0].length);
      token.meta = { isDone: mark[1] !== " " } satisfies Task;
    });
  });
}
