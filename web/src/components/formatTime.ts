/** Times and durations as a person reads them. */

/** A time of day in the reader's language, with its date unless that is today. */
export function formatTime(milliseconds: number, locale: string, now = Date.now()): string {
  const time = new Date(milliseconds);
  const isToday = time.toDateString() === new Date(now).toDateString();
  return new Intl.DateTimeFormat(locale, {
    hour: "numeric",
    minute: "2-digit",
    ...(!isToday && { weekday: "long", month: "long", day: "numeric" }),
  }).format(time);
}

/** The time that is left, as minutes and seconds; 0:00 once it is over. */
export function formatCountdown(milliseconds: number): string {
  const seconds = Math.max(0, Math.ceil(milliseconds / 1000));
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
}
