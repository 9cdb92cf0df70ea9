/** Compresses the built files once and ahead of time, and limits the size of the first load. */

import { gzipSync } from "node:zlib";
import type { Plugin } from "vite";

/**
 * The gzipped bytes that a first visit may load before any message is shown: about 1.5
 * seconds on a slow phone connection (1.6 Mbit/s and a round trip of 150 ms).
 */
const MAX_FIRST_LOAD_BYTES = 150_000;

/** Compressing smaller files saves next to nothing. */
const MIN_BYTES = 512;

/** Adds a `.gz` file for each file, and fails the build if the first load exceeds its limit. */
export function precompress(): Plugin {
  return {
    name: "headrace-precompress",
    apply: "build",
    enforce: "post",
    generateBundle: {
      order: "post",
      handler(_options, bundle) {
        const sizes = new Map<string, number>();
        const first = new Set<string>(["index.html"]);
        const languages: number[] = [];
        for (const file of Object.values(bundle)) {
          const body = Buffer.from(file.type === "chunk" ? file.code : file.source);
          const zipped = gzipSync(body, { level: 9 });
          sizes.set(file.fileName, zipped.length);
          if (file.type === "chunk" && file.facadeModuleId?.includes("/src/i18n/"))
            languages.push(zipped.length);
          if (body.length >= MIN_BYTES && zipped.length < body.length)
            this.emitFile({ type: "asset", fileName: `${file.fileName}.gz`, source: zipped });
        }
        const index = bundle["index.html"];
        const html = index?.type === "asset" ? String(index.source) : "";
        // The files that index.html refers to: scripts, their static imports, and styles.
        for (const [, name] of html.matchAll(/(?:src|href)="\.\/([^"]+)"/g))
          if (name) first.add(name);
        const linked = [...first].reduce((sum, name) => sum + (sizes.get(name) ?? NaN), 0);
        const total = linked + Math.max(...languages); // of the languages one is loaded
        if (!(total <= MAX_FIRST_LOAD_BYTES))
          this.error(
            `the first load is ${total} bytes gzipped; ${MAX_FIRST_LOAD_BYTES} are allowed`,
          );
        this.info(`first load: ${total} bytes gzipped of ${MAX_FIRST_LOAD_BYTES} allowed`);
      },
    },
  };
}
