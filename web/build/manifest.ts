/** Writes the manifest with which browsers install the page as an app, and its icons. */

import { readFile } from "node:fs/promises";
import { basename } from "node:path";
import type { Plugin } from "vite";

const ICONS = [
  { file: "icon-192", sizes: "192x192", purpose: "any" },
  { file: "icon-512", sizes: "512x512", purpose: "any" },
  { file: "maskable-512", sizes: "512x512", purpose: "maskable" },
] as const;

/** Its addresses are relative to the manifest's own, below the page's, wherever that is served. */
export function manifest(): Plugin {
  let fileName = "";
  return {
    name: "headrace-manifest",
    apply: "build",
    generateBundle: {
      order: "pre", // before index.html is written, which refers to it
      async handler() {
        const icons = [];
        for (const { file, sizes, purpose } of ICONS) {
          const source = await readFile(new URL(`../src/icons/${file}.png`, import.meta.url));
          const emitted = this.emitFile({ type: "asset", name: `${file}.png`, source });
          icons.push({
            src: basename(this.getFileName(emitted)),
            sizes,
            type: "image/png",
            purpose,
          });
        }
        const source = JSON.stringify({
          name: "Headrace",
          start_url: "../",
          scope: "../",
          display: "standalone",
          background_color: "#f6f7f4",
          theme_color: "#f6f7f4",
          icons,
        });
        fileName = this.getFileName(
          this.emitFile({ type: "asset", name: "manifest.webmanifest", source }),
        );
      },
    },
    transformIndexHtml: () => [
      { tag: "link", attrs: { rel: "manifest", href: `./${fileName}` }, injectTo: "head" },
    ],
  };
}
