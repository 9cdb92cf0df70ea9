/** Milliseconds as seconds for a person to read: with one decimal below ten, and none above. */
export function formatSeconds(milliseconds: number): string {
  const seconds = milliseconds / 1000;
  return seconds < 10 ? seconds.toFixed(1) : Math.round(seconds).toString();
}
