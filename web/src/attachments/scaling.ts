/**
 * Draws images anew: turned as they were taken, without the place where that was, and no larger than
 * models look at.
 *
 * The browser decodes and encodes in threads of its own; only the drawing is done here.
 */

/**
 * Pixels of an image's longer side. OpenAI's models scale images down to 2048 and Anthropic's to
 * 1568, so more is only sent and paid for.
 */
export const MAX_SIDE_PX = 2048;

/**
 * Bytes up to which an image stays as it is, or is drawn anew without loss: a question of twenty
 * images still fits into a request, and few screenshots are larger.
 */
export const MAX_LOSSLESS_BYTES = 1_000_000;

/** Photographs show no loss at this quality, and take a tenth of what they took. */
const JPEG_QUALITY = 0.88;

/** The size in which an image is sent: its own, or the one that fits. */
export function fittingSize(width: number, height: number): { width: number; height: number } {
  const scale = Math.min(1, MAX_SIDE_PX / Math.max(width, height));
  // A line of one pixel stays one.
  return {
    width: Math.max(1, Math.round(width * scale)),
    height: Math.max(1, Math.round(height * scale)),
  };
}

/** Decode an image, turned as its Exif data says. Rejects if the browser cannot. */
export function decodeImage(image: Blob): Promise<ImageBitmap> {
  return createImageBitmap(image, { imageOrientation: "from-image" });
}

/**
 * The image in its fitting size, as PNG if `isLossless` and that is small enough, or else as JPEG, in
 * which what was transparent is white.
 */
export async function drawAnew(image: ImageBitmap, isLossless: boolean): Promise<Blob> {
  const { width, height } = fittingSize(image.width, image.height);
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext("2d");
  if (!context) throw new Error("no canvas can be drawn on");
  context.imageSmoothingQuality = "high";
  context.drawImage(image, 0, 0, width, height);
  if (isLossless) {
    const png = await canvas.convertToBlob({ type: "image/png" });
    if (png.size <= MAX_LOSSLESS_BYTES) return png;
  }
  context.globalCompositeOperation = "destination-over";
  context.fillStyle = "white";
  context.fillRect(0, 0, width, height);
  return canvas.convertToBlob({ type: "image/jpeg", quality: JPEG_QUALITY });
}
