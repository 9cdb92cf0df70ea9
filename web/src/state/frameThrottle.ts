/** Limits how often the page draws a growing answer. */

/**
 * After drawing, the page stays free for this many times as long as drawing took, so that its reader
 * can scroll, select and type. A short answer is drawn with every frame; a very long one on a slow
 * phone a few times a second.
 */
const IDLE_PER_DRAW = 3;

/** The longest pause in milliseconds, so that new text appears at least about twice a second. */
const MAX_PAUSE_MS = 500;

/**
 * Calls `draw` at most once per animation frame, and less often if drawing is slow. A hidden page has
 * no animation frames: nothing is drawn until it is visible, or until `flush` is called.
 */
export class FrameThrottle {
  #timer: ReturnType<typeof setTimeout> | undefined;
  #frame: number | undefined;
  #notBefore = 0;

  constructor(private readonly draw: () => void) {}

  /** Draw with one of the next frames. */
  request(): void {
    if (this.#timer !== undefined || this.#frame !== undefined) return;
    const pause = this.#notBefore - performance.now();
    if (pause > 0) this.#timer = setTimeout(() => this.#requestFrame(), pause);
    else this.#requestFrame();
  }

  /** Draw at once. */
  flush(): void {
    clearTimeout(this.#timer);
    if (this.#frame !== undefined) cancelAnimationFrame(this.#frame);
    this.#timer = this.#frame = undefined;
    this.draw();
  }

  #requestFrame(): void {
    this.#timer = undefined;
    this.#frame = requestAnimationFrame((startedAt) => {
      this.flush();
      // A timer runs after the frame, when Vue has updated the page and the browser has laid it out.
      setTimeout(() => {
        const took = performance.now() - startedAt;
        this.#notBefore = startedAt + took + Math.min(IDLE_PER_DRAW * took, MAX_PAUSE_MS);
      });
    });
  }
}
