/** Files of text: the server takes them in UTF-8, while Windows writes other encodings, too. */

/** Characters that no text has besides white space; the server refuses a text with one of these. */
const CONTROL = /[\x00-\x08\x0e-\x1a\x1c-\x1f\x7f]/;

/**
 * The text in `bytes`; null if they are no text, or in an encoding that cannot be told for sure.
 *
 * UTF-16 shows itself by its first two bytes. GB 18030 does not differ from the encodings of other
 * East Asian languages, so it is tried only for users who read Chinese.
 */
export function decodeText(bytes: Uint8Array, readsChinese: boolean): string | null {
  const found =
    decode(bytes, encodingMark(bytes) ?? "utf-8") ??
    (readsChinese && isGb2312(bytes) ? decode(bytes, "gb18030") : null);
  return found === null || CONTROL.test(found) ? null : found;
}

/** The encoding that a byte order mark says; UTF-8's own needs no telling. */
function encodingMark(bytes: Uint8Array): string | null {
  if (bytes[0] === 0xff && bytes[1] === 0xfe) return "utf-16le";
  if (bytes[0] === 0xfe && bytes[1] === 0xff) return "utf-16be";
  return null;
}

/** Without the byte order mark, which is no part of the text; null if `encoding` cannot have them. */
function decode(bytes: Uint8Array, encoding: string): string | null {
  try {
    return new TextDecoder(encoding, { fatal: true }).decode(bytes);
  } catch {
    return null;
  }
}

/** Whether all bytes above ASCII are pairs of GB 2312, which Chinese programs save as "ANSI". */
function isGb2312(bytes: Uint8Array): boolean {
  for (let at = 0; at < bytes.length; at++) {
    if (bytes[at]! < 0x80) continue;
    const [first, second] = [bytes[at]!, bytes[++at] ?? 0];
    if (first < 0xa1 || first > 0xf7 || second < 0xa1 || second > 0xfe) return false;
  }
  return true;
}
