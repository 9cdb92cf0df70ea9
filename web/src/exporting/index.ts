/** Saving a conversation as a file. */

import type { Api, Conversation, Message } from "../api";
import type { Translator } from "../components/endingText";
import { pathTo } from "../state/messageTree";
import { toMarkdown } from "./markdown";

/** Markdown has the branch that is shown, JSON has everything as the API returns it. */
export type ExportFormat = "markdown" | "json";

/** Characters of a title in a file's name: with four bytes each they fit the 255 that systems take. */
const MAX_NAME_CHARS = 60;

/** Load a conversation and save it as a file. `leaf` is the message with which the branch ends. */
export async function save(
  api: Pick<Api, "conversation" | "messages">,
  id: string,
  leaf: string | null,
  format: ExportFormat,
  texts: Translator,
): Promise<void> {
  const [conversation, messages] = await Promise.all([api.conversation(id), loadAll(api, id)]);
  const [extension, type, content] =
    format === "json"
      ? ["json", "application/json", JSON.stringify({ conversation, messages }, null, 2)]
      : ["md", "text/markdown", toMarkdown(conversation, branchTo(messages, leaf), texts)];
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([content], { type }));
  link.download = `${fileName(conversation)}.${extension}`;
  link.click();
  // The browser has the content by the next task.
  setTimeout(() => URL.revokeObjectURL(link.href));
}

/** All messages of a conversation, in order; the server's quotas limit how many there can be. */
export async function loadAll(api: Pick<Api, "messages">, id: string): Promise<Message[]> {
  let page = await api.messages(id);
  const pages = [page.data];
  while (page.next !== null) {
    page = await api.messages(id, page.next);
    pages.unshift(page.data);
  }
  return pages.flat();
}

/** The branch that ends with `leaf`. */
export function branchTo(messages: readonly Message[], leaf: string | null): Message[] {
  const nodes = messages.map((message) => ({ ...message, parent: message.parent_id }));
  return pathTo(nodes, leaf, true);
}

/** A conversation's title as the name of a file, without what some system forbids in one. */
export function fileName({ title }: Pick<Conversation, "title">): string {
  const name = (title ?? "").replaceAll(/[\\/:*?"<>|\p{C}\s]+/gu, " ").trim();
  return (
    [...name]
      .slice(0, MAX_NAME_CHARS)
      .join("")
      .replace(/^[. ]+|[. ]+$/g, "") || "conversation"
  );
}
