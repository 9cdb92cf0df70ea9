/**
 * A conversation as a tree, and the one path through it that is shown.
 *
 * Messages are given in the order in which they were asked for: parents before their children, the
 * newest last. The oldest may be missing, on pages that were not read yet. So of a message whose
 * parent is here all siblings are here, and everything below them.
 */

export interface Node {
  readonly id: string | null;
  readonly parent: string | null;
  readonly role: "user" | "assistant";
}

/** The messages from the first one that is here down to `id`; none if that is not here. */
function wayTo<T extends Node>(messages: readonly T[], id: string | null): T[] {
  const way: T[] = [];
  let wanted = id;
  for (const message of messages.toReversed()) {
    if (wanted === null) break;
    if (message.id !== wanted) continue;
    way.push(message);
    wanted = message.parent;
  }
  return way.reverse();
}

/**
 * What can be shown of the way to `id`: from a question on, each message with all its siblings
 * known. With `whole`, nothing is missing and this is all of it; without, it begins further down.
 */
export function pathTo<T extends Node>(
  messages: readonly T[],
  id: string | null,
  whole: boolean,
): T[] {
  const way = wayTo(messages, id);
  // Only the first one's parent can be missing; of a first question that is so, too.
  const first = way.findIndex(({ role }, index) => role === "user" && (whole || index > 0));
  return first < 0 ? [] : way.slice(first);
}

/** The newest of all that goes on from `id`, which is a leaf; `id` itself if nothing does. */
export function newestLeaf(messages: readonly Node[], id: string | null): string | null {
  if (id === null) return null;
  const below = new Set<string | null>([id]);
  let leaf: string | null = id;
  for (const message of messages) {
    if (message.parent === null || !below.has(message.parent)) continue;
    below.add(message.id);
    leaf = message.id;
  }
  return leaf;
}

/** The alternatives to a message, itself among them, from the oldest to the newest. */
export function siblings<T extends Node>(messages: readonly T[], message: Node): T[] {
  return messages.filter(({ parent }) => parent === message.parent);
}

/**
 * The newest message, if what is new has grown on the path that is shown: on its end, or beside one
 * of its messages. What grows on another branch is nothing to go to.
 */
export function growth(
  messages: readonly Node[],
  before: readonly Node[],
  path: readonly Node[],
): string | null {
  const known = new Set(before.map(({ id }) => id));
  const shown = new Set(path.map(({ id }) => id));
  const newest = messages.at(-1)?.id ?? null;
  const fork = wayTo(messages, newest).find(({ id }) => !shown.has(id));
  return fork && !known.has(fork.id) ? newest : null;
}

/**
 * `known` with the newest page of the list, as it is now, in its place. Undefined if so much is new
 * that the two do not meet.
 */
export function merged<T extends Node>(
  known: readonly T[],
  page: readonly T[],
): readonly T[] | undefined {
  const at = known.findIndex(({ id }) => id === page[0]?.id);
  if (at < 0) return undefined;
  const listed = new Set(page.map(({ id }) => id));
  // What came while the list was on its way is newer than all of it.
  const newer = known.slice(at).filter(({ id }) => !listed.has(id));
  return [...known.slice(0, at), ...page, ...newer];
}
