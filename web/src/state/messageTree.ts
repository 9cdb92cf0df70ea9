/**
 * A conversation as a tree of messages, and the path through it that is shown: pure functions.
 *
 * They take the messages in the order in which they were created: parents before their children, the
 * newest last. The oldest may be missing, on pages that were not loaded yet. So if a message's parent
 * is in the list, all its siblings and all their descendants are too.
 */

export interface TreeNode {
  readonly id: string | null;
  readonly parent: string | null;
  readonly role: "user" | "assistant";
}

/** The messages from the first loaded ancestor down to `id`; empty if `id` is not loaded. */
function ancestryOf<T extends TreeNode>(messages: readonly T[], id: string | null): T[] {
  const ancestry: T[] = [];
  let wanted = id;
  for (const message of messages.toReversed()) {
    if (wanted === null) break;
    if (message.id !== wanted) continue;
    ancestry.push(message);
    wanted = message.parent;
  }
  return ancestry.reverse();
}

/**
 * The part of the path to `id` that can be shown. It begins with a question, and all siblings of each
 * of its messages are known. If `isComplete`, no message is missing and the path begins at the root.
 */
export function pathTo<T extends TreeNode>(
  messages: readonly T[],
  id: string | null,
  isComplete: boolean,
): T[] {
  const ancestry = ancestryOf(messages, id);
  // Only the first message's parent can be missing; a first question has none, and looks the same.
  const first = ancestry.findIndex(
    ({ role }, index) => role === "user" && (isComplete || index > 0),
  );
  return first < 0 ? [] : ancestry.slice(first);
}

/** The newest descendant of `id`, which is a leaf; `id` itself if it has none. */
export function newestLeaf(messages: readonly TreeNode[], id: string | null): string | null {
  if (id === null) return null;
  const subtree = new Set<string | null>([id]);
  let leaf: string | null = id;
  for (const message of messages) {
    if (message.parent === null || !subtree.has(message.parent)) continue;
    subtree.add(message.id);
    leaf = message.id;
  }
  return leaf;
}

/** The messages with the same parent, `message` among them, from the oldest to the newest. */
export function siblings<T extends TreeNode>(messages: readonly T[], message: TreeNode): T[] {
  return messages.filter(({ parent }) => parent === message.parent);
}

/**
 * The newest message, if it is new since `before` and its branch leaves `path` at a new message: at
 * the end of the path or beside one of its messages. Null if the newest message is on another branch.
 */
export function newLeafFrom(
  messages: readonly TreeNode[],
  before: readonly TreeNode[],
  path: readonly TreeNode[],
): string | null {
  const known = new Set(before.map(({ id }) => id));
  const shown = new Set(path.map(({ id }) => id));
  const newest = messages.at(-1)?.id ?? null;
  const fork = ancestryOf(messages, newest).find(({ id }) => !shown.has(id));
  return fork && !known.has(fork.id) ? newest : null;
}

/**
 * `loaded` with the newest page, which was loaded again, in its place. Undefined if there is a gap
 * between the two, because more messages are new than the page has.
 */
export function mergeNewestPage<T extends TreeNode>(
  loaded: readonly T[],
  page: readonly T[],
): readonly T[] | undefined {
  const start = loaded.findIndex(({ id }) => id === page[0]?.id);
  if (start < 0) return undefined;
  const listed = new Set(page.map(({ id }) => id));
  // Messages that were added while the page was loading are newer than all of it.
  const newer = loaded.slice(start).filter(({ id }) => !listed.has(id));
  return [...loaded.slice(0, start), ...page, ...newer];
}
