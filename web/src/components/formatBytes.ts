/** Sizes of files as people read them. */

/** The number of bytes in the largest unit of which there is one, as in "1.2 MB". */
export function formatBytes(bytes: number, locale: string): string {
  const [unit, size] =
    bytes < 1000
      ? ["byte", bytes]
      : bytes < 1_000_000
        ? ["kilobyte", bytes / 1000]
        : ["megabyte", bytes / 1_000_000];
  const style = { style: "unit", unit: String(unit), maximumFractionDigits: 1 } as const;
  return new Intl.NumberFormat(locale, style).format(Number(size));
}
