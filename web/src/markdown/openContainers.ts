/**
 * Lets a container that grows be parsed from its last part on: a list from its last item, a table from
 * its last row, a quote from its last block; also where one is in another.
 *
 * What precedes that part is finished: later text does not change it, but for a list that turns out
 * not to be tight. So one token stands for it, and in the text an outline: the markers of all containers
 * that are open there, after which the parser goes on as it would after the finished parts. Of what it
 * makes of the outline only the containers are kept, and they get their finished parts back.
 */

import type { Token } from "markdown-it";
import { copyOf, finished, isFinished, loosen, unfolded } from "./finishedTokens";
import { isList, type ItemState, type ListState } from "./listStates";

/** The containers that have blocks, items or rows in them, by the tokens that begin them. */
const CONTAINERS = new Set([
  ...["bullet_list_open", "ordered_list_open", "list_item_open"],
  ...["blockquote_open", "table_open", "tbody_open"],
]);

/** A block that grows, and where it is parsed from. */
export interface OpenContainer {
  /** All of it, with one token for what is finished of each container. */
  readonly tokens: readonly Token[];
  /** How many containers the outline opens, one in the other. */
  readonly depth: number;
  readonly outline: string;
  /** The line number at which the part begins that is not finished. */
  readonly line: number;
}

/**
 * The block of `tokens` with all parts but the last one finished; nothing if there are no others, or if
 * the last one is the outline's, of `outlineLines` lines.
 */
export function openContainer(
  tokens: readonly Token[],
  outlineLines: number,
): OpenContainer | undefined {
  const all = [...tokens];
  const outline = new Outline();
  let found: Omit<OpenContainer, "tokens"> | undefined;
  let depth = 0;
  for (let open = 0; CONTAINERS.has(all[open]?.type ?? ""); depth++) {
    const container = all[open]!;
    const parts = partsOf(all, open);
    const first = parts.find((part) => !isFinished(all[part]!));
    let last = parts.at(-1);
    if (last === undefined || first === undefined) break;
    const line = all[last]!.map?.[0];
    if (first < last) {
      if (line === undefined || isUnclear(container)) break;
      all.splice(first, last - first, finished(all.slice(first, last)));
      last = first + 1;
    }
    outline.enter(container, all.slice(open + 1, last));
    if (last > open + 1 && line !== undefined && line >= outlineLines)
      found = { depth: depth + 1, outline: outline.lines(container), line };
    open = last;
  }
  return found && { ...found, tokens: all };
}

/** Whether it is not known of a list if it is tight so far: it has items, with nothing in them. */
function isUnclear(container: Token): boolean {
  return isList(container) && (container.meta as ListState | null)?.isTight === undefined;
}

/** Where the parts begin of the container that begins at `open`. */
function partsOf(tokens: readonly Token[], open: number): number[] {
  const level = tokens[open]!.level;
  const parts: number[] = [];
  for (let index = open + 1; (tokens[index]?.level ?? level) > level; index++)
    if (tokens[index]!.level === level + 1 && tokens[index]!.nesting >= 0) parts.push(index);
  return parts;
}

/** What stands for finished parts: a heading, which no line that follows can continue. */
const FILLER = "#";

/** Lines in which containers are open. */
class Outline {
  #text = "";
  /** What begins a further line in the same containers. */
  #continued = "";
  /** Where that is, counted from the innermost quote on. */
  #column = 0;

  /** Opens `container`, of which `finishedParts` are finished. */
  enter({ type, info, markup, meta }: Token, finishedParts: readonly Token[]): void {
    if (type === "blockquote_open") {
      this.#add("> ", "> ");
      this.#column = 0;
    } else if (type === "list_item_open") {
      const marker = info + markup;
      const { indent } = meta as ItemState;
      // At most four spaces follow a marker; more would be code.
      const start = Math.max(this.#column, indent - marker.length - 4);
      const before = " ".repeat(start - this.#column);
      this.#add((before + marker).padEnd(indent - this.#column), " ".repeat(indent - this.#column));
      this.#column = indent;
    } else if (type === "table_open") {
      const columns = unfolded(finishedParts).filter((token) => token.type === "th_open");
      const delimiters = columns.map((column) => delimiterOf(column));
      this.#add(`|${"x|".repeat(columns.length)}\n${this.#continued}|${delimiters.join("|")}|`, "");
    }
  }

  #add(text: string, continued: string): void {
    this.#text += text;
    this.#continued += continued;
  }

  /** The lines so far, in which something precedes what is still to come of `container`. */
  lines({ type, markup }: Token): string {
    // Indented so far that no item of the same list is in this one.
    if (type === "bullet_list_open") return `${this.#text}${markup}    ${FILLER}\n`;
    if (type === "ordered_list_open") return `${this.#text}1${markup}    ${FILLER}\n`;
    const isTable = type === "table_open" || type === "tbody_open";
    return isTable ? `${this.#text}\n` : `${this.#text}${FILLER}\n`;
  }
}

/** What aligns a table's column as the cell of its head is aligned. */
function delimiterOf(head: Token): string {
  const align = String(head.attrGet("style") ?? "").replace("text-align:", "");
  return { left: ":-", center: ":-:", right: "-:" }[align] ?? "-";
}

/** The tokens of the block `open`, of which the parser has made `parsed` after the outline. */
export function withFinishedParts(
  parsed: readonly Token[],
  { tokens, depth }: OpenContainer,
): readonly Token[] {
  let all: readonly Token[] = [];
  const looseLevels: number[] = [];
  let from = 0;
  let at = 0;
  for (let count = 1; count <= depth; count++) {
    const container = withState(tokens[at++]!, parsed[from++]!);
    if (isList(container) && !(container.meta as ListState).isTight)
      looseLevels.push(container.level + 2);
    const start = at;
    while (isFinished(tokens[at]!)) at++;
    all = [...all, container, ...tokens.slice(start, at)];
    const isFilled = count === depth && container.type !== "tbody_open";
    if (isFilled || container.type === "table_open") from = endOfPart(parsed, from);
  }
  all = [...all, ...parsed.slice(from)];
  return looseLevels.reduce(loosen, all);
}

/** `container` as it was, but for what further text has shown: a list is tight if it is throughout. */
function withState(container: Token, parsed: Token): Token {
  const state = container.meta as ListState | null;
  if (!isList(container) || !state?.isTight || (parsed.meta as ListState).isTight) return container;
  return copyOf(container, { meta: parsed.meta as unknown });
}

/** Where the part ends that begins at `start`. */
function endOfPart(tokens: readonly Token[], start: number): number {
  const level = tokens[start]!.level;
  let end = start + 1;
  if (tokens[start]!.nesting === 1) while (tokens[end++]!.level > level);
  return end;
}
