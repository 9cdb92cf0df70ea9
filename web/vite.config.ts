import vue from "@vitejs/plugin-vue";
import { defineConfig } from "vite";
import { manifest } from "./build/manifest.ts";
import { precompress } from "./build/precompress.ts";

export default defineConfig({
  plugins: [vue(), manifest(), precompress()],
  base: "./", // so that the page can be served below any path of a site
  define: {
    // Parts of the libraries that the page does not use are left out of the build.
    __VUE_OPTIONS_API__: false,
    __VUE_I18N_LEGACY_API__: false,
    __INTLIFY_PROD_DEVTOOLS__: false,
    __INTLIFY_DROP_MESSAGE_COMPILER__: true,
  },
  build: {
    target: "es2023",
    assetsInlineLimit: 0, // the page's policy forbids data: URLs
    modulePreload: { polyfill: false }, // every browser that supports es2023 has it
    chunkSizeWarningLimit: 1000, // `precompress` limits the size of the first load
  },
  server: {
    // `npm run dev` serves the page's sources, and forwards API requests to the server of `make run`.
    proxy: {
      "/api": {
        target: "http://127.0.0.1:8080",
        changeOrigin: true,
        headers: { Origin: "http://127.0.0.1:8080" },
      },
    },
  },
});
