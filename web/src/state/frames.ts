/** Work that is worth doing once per frame, however often it is asked for. */

/**
 * Of the time that drawing takes, this many times as much is left for the reader: for scrolling,
 * selecting, typing. A short answer is drawn with every frame all the same; a very long one on a
 * slow phone a few times a second, and scrolls.
 */
const LEFT_FOR_READERS = 3;

/** Milliseconds after which words come in any case. */
const LONGEST_PAUSE = 500;

/**
 * Calls `draw` at most once per animation frame, and less often where it is slow. A page that nobody
 * sees has no frames: then nothing is drawn until somebody looks, or until `now` is called.
 */
export class PerFrame {
  #timer: ReturnType<typeof setTimeout> | undefined;
  #frame: number | undefined;
  #notBefore = 0;

  constructor(private readonly draw: () => void) {}

  /** Draw with one of the next frames. */
  ask(): void {
    if (this.#timer !== undefined || this.#frame !== undefined) return;
    const pause = this.#notBefore - performance.now();
    if (pause > 0) this.#timer = setTimeout(() => this.#next(), pause);
    else this.#next();
  }

  /** Draw at once. */
  now(): void {
    clearTimeout(this.#timer);
    if (this.#frame !== undefined) cancelAnimationFrame(this.#frame);
    this.#timer = this.#frame = undefined;
    this.draw();
  }

  #next(): void {
    this.#timer = undefined;
    this.#frame = requestAnimationFrame((began) => {
      this.now();
      // A task behind the frame: by then Vue has changed the page and the browser has laid it out.
      setTimeout(() => {
        const took = performance.now() - began;
        this.#notBefore = began + took + Math.min(LEFT_FOR_READERS * took, LONGEST_PAUSE);
      });
    });
  }
}
