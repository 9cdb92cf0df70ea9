/** What of the clipboard is attached, and not typed. */

/** The part of the browser's DataTransfer that is needed. */
export interface Clipboard {
  getData(type: string): string;
  readonly files: Iterable<File>;
}

/**
 * The files in the clipboard that are meant; none if the text beside them is. A spreadsheet or a text
 * processor copies a picture of what it copies, while a file manager copies the files' names as text.
 */
export function pastedFiles(clipboard: Clipboard | null): File[] {
  const files = [...(clipboard?.files ?? [])];
  const text = clipboard?.getData("text/plain").trim() ?? "";
  const isText = text !== "" && !files.every(({ name }) => text.includes(name));
  return isText ? [] : files;
}
