/** Images and files that a question brings along, as the page has them before they are stored. */

/** An image or a file: checked, and in the form in which it is sent. */
export interface Attachment {
  /** Identifies it on the page and in the browser's storage. */
  readonly key: string;
  /** What it is to the API: the type of its part, and one of a model's `input_kinds`. */
  readonly kind: "image" | "file";
  readonly name: string;
  readonly content: Blob;
}

/**
 * Bytes of a file that is read at all. Cameras write photographs of 20 to 60 MB, which are scaled
 * down; a film that was dropped by mistake should not fill the memory.
 */
export const MAX_READ_BYTES = 100_000_000;

/** Why a file cannot be attached; the page has a text for each. */
export type RefusalReason =
  | "empty"
  /** It was moved or changed, it is a folder, or the browser may not read it. */
  | "unreadable"
  /** What reads files is a part of the page that could not be loaded: the server is away. */
  | "unreachable"
  /** By its beginning it is an image, but the browser cannot decode it. */
  | "broken_image"
  /** A HEIC image in a browser that cannot decode it: all but Safari. */
  | "heic"
  /** Neither an image that can be decoded, nor PDF, nor text. */
  | "unsupported"
  | "too_large";

/** A file cannot be attached. */
export class AttachmentRefused extends Error {
  override readonly name = "AttachmentRefused";

  constructor(readonly reason: RefusalReason) {
    super(reason);
  }
}
