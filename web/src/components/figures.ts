/** Figures as people read them. */

/** Milliseconds as seconds, as exact as matters. */
export function seconds(milliseconds: number): string {
  const value = milliseconds / 1000;
  return value < 10 ? value.toFixed(1) : Math.round(value).toString();
}
