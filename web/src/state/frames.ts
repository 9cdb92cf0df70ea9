/** Work that is worth doing once per frame, however often it is asked for. */

/**
 * `draw`, at most once per animation frame. A page that nobody sees has no frames: then nothing is
 * drawn until somebody looks, or until `now` is called.
 */
export class PerFrame {
  #asked: number | undefined;

  constructor(private readonly draw: () => void) {}

  /** Draw with the next frame. */
  ask(): void {
    this.#asked ??= requestAnimationFrame(() => this.now());
  }

  /** Draw at once. */
  now(): void {
    if (this.#asked !== undefined) cancelAnimationFrame(this.#asked);
    this.#asked = undefined;
    this.draw();
  }
}
