/** What the browser is sent first, kept small; and everything zipped once, at its best. */

import { gzipSync } from "node:zlib";
import type { Plugin } from "vite";

/**
 * Bytes that a first visit may load, gzipped, before any code block or formula is shown: about a
 * second and a half on a slow phone connection (1.6 Mbit/s with 150 ms to and fro).
 */
const FIRST_LOAD_BYTES = 150_000;

/** Below this a zipped copy is hardly smaller. */
const ZIP_FROM_BYTES = 512;

/** Puts a `.gz` beside every text, and fails the build if the first load exceeds its bound. */
export function delivery(): Plugin {
  return {
    name: "headrace-delivery",
    apply: "build",
    enforce: "post",
    generateBundle: {
      order: "post",
      handler(_options, bundle) {
        const sizes = new Map<string, number>();
        const first = new Set<string>(["index.html"]);
        for (const file of Object.values(bundle)) {
          const body = Buffer.from(file.type === "chunk" ? file.code : file.source);
          const zipped = gzipSync(body, { level: 9 });
          sizes.set(file.fileName, zipped.length);
          if (body.length >= ZIP_FROM_BYTES && zipped.length < body.length)
            this.emitFile({ type: "asset", fileName: `${file.fileName}.gz`, source: zipped });
        }
        const index = bundle["index.html"];
        const html = index?.type === "asset" ? String(index.source) : "";
        // What index.html names: scripts, what they import at once, and styles.
        for (const [, name] of html.matchAll(/(?:src|href)="\.\/([^"]+)"/g))
          if (name) first.add(name);
        const total = [...first].reduce((sum, name) => sum + (sizes.get(name) ?? NaN), 0);
        if (!(total <= FIRST_LOAD_BYTES))
          this.error(`the first load is ${total} bytes gzipped; ${FIRST_LOAD_BYTES} are allowed`);
        this.info(`first load: ${total} bytes gzipped of ${FIRST_LOAD_BYTES} allowed`);
      },
    },
  };
}
