/** Reading parts of binary files; what lies behind their end is missing, and no error. */

/** Whether these bytes are at the offset `at`, as characters of the same numbers. */
export function startsWith(bytes: Uint8Array, at: number, expected: string): boolean {
  return textAt(bytes, at, expected.length) === expected;
}

/** Bytes as characters of the same numbers; fewer at the end. */
export function textAt(bytes: Uint8Array, at: number, length: number): string {
  return String.fromCharCode(...bytes.subarray(at, at + length));
}

/** A number of four bytes, which have to be there. */
export function unsignedAt(bytes: Uint8Array, at: number, isLittleEndian = false): number {
  return new DataView(bytes.buffer, bytes.byteOffset + at, 4).getUint32(0, isLittleEndian);
}
