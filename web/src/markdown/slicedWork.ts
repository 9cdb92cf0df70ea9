/**
 * Does work of which there may be much at once, such as the formulas of a conversation that is opened,
 * in tasks so short that the page can be scrolled between them.
 */

/** On a phone whose CPU is four times slower a task takes 50 ms, from which on browsers call it long. */
const SLICE_MS = 12;

const waiting: (() => void)[] = [];
/** When the current slice is over. It ends at the latest with its task, which the timer outlives. */
let end = 0;
let isTimerSet = false;

/** Calls `work`: at once if its slice has time for that, otherwise after what waits. */
export function soon(work: () => void): void {
  if (!isTimerSet) end = performance.now() + SLICE_MS;
  setTimer();
  if (!waiting.length && performance.now() < end) work();
  else waiting.push(work);
}

function setTimer(): void {
  if (isTimerSet) return;
  isTimerSet = true;
  setTimeout(startSlice);
}

function startSlice(): void {
  isTimerSet = false;
  end = performance.now() + SLICE_MS;
  while (waiting.length && performance.now() < end) waiting.shift()?.();
  if (waiting.length) setTimer();
}
