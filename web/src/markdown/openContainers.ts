/**
 * Lets a container that grows be parsed from its last part on: a list from its last item, a table from
 * its last row, a quote or details from the last block; also where one is in another.
 *
 * What precedes that part is finished: later text does not change it, but for a list that turns out
 * not to be tight. So one token stands for it, and in the text an outline: the markers of all containers
 * that are open there, after which the parser goes on as it would after the finished parts. Of what it
 * makes of the outline only the containers are kept, and they get their finished parts back. The one
 * thing that it counts over all of a table is the cells that rows are short of, and gives up at 65,536: such
 * a table is right once the text is complete, and parsed at once.
 */

import type { Token } from "markdown-it";
import { copyOf, finished, isFinished, loosen, unfolded } from "./finishedTokens";
import { OpenTags } from "./htmlBlocks";
import { isList, type ItemState, type ListState } from "./listStates";

/** The containers that have blocks, items or rows in them, by the tokens that begin them. */
const CONTAINERS = new Set([
  ...["bullet_list_open", "ordered_list_open", "list_item_open"],
  ...["blockquote_open", "table_open", "tbody_open", "html_group_open", "details_open"],
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
 * The block of `tokens` with all parts but the last one finished; nothing if no part can be finished.
 * The tokens are of `lines`, which begin with the outline of the block as it was `before`.
 */
export function openContainer(
  tokens: readonly Token[],
  lines: readonly string[],
  before: OpenContainer | undefined,
): OpenContainer | undefined {
  const all = [...tokens];
  const outline = new Outline();
  const details = new DetailsPath(lines, before?.outline ?? "");
  const firstLine = lineCountOf(before?.outline ?? "");
  let found: Omit<OpenContainer, "tokens"> | undefined;
  let depth = 0;
  for (let open = 0; CONTAINERS.has(all[open]?.type ?? ""); depth++) {
    const container = all[open]!;
    if (container.type === "html_group_open")
      details.enter(depth < (before?.depth ?? 0) ? undefined : container.map?.[0]);
    const parts = partsOf(all, open);
    const first = parts.find((part) => !isFinished(all[part]!));
    let last = parts.at(-1);
    if (last === undefined || first === undefined) break;
    const line = all[last]!.map?.[0];
    if (first < last) {
      if (line === undefined || isUnclear(container) || !details.areOpenAt(line)) break;
      all.splice(first, last - first, finished(all.slice(first, last)));
      last = first + 1;
    }
    outline.enter(container, all.slice(open + 1, last));
    if (last > open + 1 && line !== undefined && line >= firstLine)
      found = { depth: depth + 1, outline: outline.lines(container), line };
    open = last;
  }
  return found && { ...found, tokens: all };
}

/** How many lines an outline has. */
export function lineCountOf(outline: string): number {
  return outline.split("\n").length - 1;
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

/**
 * The `<details>` that are open, one in the other. Their ends are found by counting the tags in their
 * lines, so the lines of finished parts may be left out only where they leave as many open as the outline.
 */
class DetailsPath {
  readonly #lines: readonly string[];
  readonly #inOutline: number;
  readonly #outlineLines: number;
  /** The lines that they begin in; undefined for those that the outline opens. */
  readonly #starts: (number | undefined)[] = [];

  constructor(lines: readonly string[], outline: string) {
    this.#lines = lines;
    this.#inOutline = outline.split(DETAILS).length - 1;
    this.#outlineLines = lineCountOf(outline);
  }

  enter(start: number | undefined): void {
    this.#starts.push(start);
  }

  /** Whether all of them are open at the beginning of a line. */
  areOpenAt(line: number): boolean {
    return this.#starts.every((start, index) => {
      const tags = new OpenTags(start === undefined ? this.#inOutline - index : 0);
      const passed = this.#lines.slice(start ?? this.#outlineLines, line);
      return (
        passed.every((text) => tags.read(text) < 0) && tags.areOpen(this.#starts.length - index)
      );
    });
  }
}

/** What stands for finished parts: a heading, which no line that follows can continue. */
const FILLER = "#";

/** What opens `<details>` in an outline. */
const DETAILS = "<details>";

/** Lines in which containers are open. */
class Outline {
  #text = "";
  /** What begins a further line in the same containers. */
  #continued = "";
  /** Where that is, counted from where the text of the innermost quote or details begins. */
  #column = 0;
  /** Whether the innermost container is an item. */
  #isInItem = false;

  /** Opens `container`, of which `finishedParts` are finished. */
  enter({ type, info, markup, meta }: Token, finishedParts: readonly Token[]): void {
    if (type === "blockquote_open") {
      this.#add("> ", "> ");
      this.#column = 0;
      this.#isInItem = false;
    } else if (type === "list_item_open") {
      const marker = info + markup;
      const { indent } = meta as ItemState;
      // At most four spaces follow a marker; more would be code.
      const start = Math.max(this.#column, indent - marker.length - 4);
      const before = " ".repeat(start - this.#column);
      // In the line of another item, spaces would be that item's.
      if (before && this.#isInItem) this.#add(`${FILLER}\n${this.#continued}`, "");
      this.#add((before + marker).padEnd(indent - this.#column), " ".repeat(indent - this.#column));
      this.#column = indent;
      this.#isInItem = true;
    } else if (type === "details_open") {
      this.#add(`${DETAILS}\n${this.#continued}`, "");
      this.#column = 0;
      this.#isInItem = false;
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
  let all: Token[] = [];
  const looseLists: number[] = [];
  let from = 0;
  let at = 0;
  for (let count = 1; count <= depth; count++) {
    const container = withState(tokens[at++]!, parsed[from++]!);
    if (isList(container) && !(container.meta as ListState).isTight) looseLists.push(all.length);
    const start = at;
    while (isFinished(tokens[at]!)) at++;
    all = [...all, container, ...tokens.slice(start, at)];
    const isFilled = count === depth && container.type !== "tbody_open";
    if (isFilled || isOfOutline(parsed[from]!)) from = endOfPart(parsed, from);
  }
  all = [...all, ...parsed.slice(from)];
  for (const list of looseLists) {
    const end = endOfPart(all, list);
    const inList = loosen(all.slice(list, end), all[list]!.level + 2);
    all = [...all.slice(0, list), ...inList, ...all.slice(end)];
  }
  return all;
}

/** Whether `part` is what an outline needs for the container that follows it. */
function isOfOutline({ type }: Token): boolean {
  return type === "heading_open" || type === "thead_open";
}

/**
 * `container` as it was, but for its lines and for what further text has shown: a list is tight if it is
 * throughout.
 */
function withState(container: Token, parsed: Token): Token {
  const isTight = isList(container) && (container.meta as ListState).isTight;
  return copyOf(container, { map: parsed.map, meta: isTight ? parsed.meta : container.meta });
}

/** Where the part ends that begins at `start`. */
function endOfPart(tokens: readonly Token[], start: number): number {
  const level = tokens[start]!.level;
  let end = start + 1;
  if (tokens[start]!.nesting === 1) while (tokens[end++]!.level > level);
  return end;
}
