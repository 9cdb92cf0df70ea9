/**
 * Texts as messages of vue-i18n. Its own compiler of texts is left out of the build, which makes it
 * 6 KB smaller: these have names in braces and no other syntax, so that any sign may stand in them.
 */

import type { MessageContext, MessageFunction } from "vue-i18n";

/** A table of texts, which may have tables in it. */
export interface Texts {
  [key: string]: string | Texts;
}

/** The same table with a function in place of each text. */
export type Messages<T> = { [Key in keyof T]: T[Key] extends string ? Message : Messages<T[Key]> };
type Message = MessageFunction<string>;

/** Make messages of texts. */
export function messagesOf<T extends Texts>(texts: T): Messages<T> {
  const messages = Object.entries(texts).map(([key, value]) => [
    key,
    typeof value === "string" ? messageOf(value) : messagesOf(value),
  ]);
  return Object.fromEntries(messages) as Messages<T>;
}

const messageOf =
  (text: string): Message =>
  ({ named }: MessageContext<string>) =>
    text.replaceAll(/\{(\w+)\}/g, (_, name: string) => String(named(name)));
