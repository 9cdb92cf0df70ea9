import vue from "@vitejs/plugin-vue";
import { defineConfig } from "vitest/config";
import { delivery } from "./build/delivery.ts";

export default defineConfig({
  plugins: [vue(), delivery()],
  base: "./", // it may be served below any path of a site
  define: {
    // The page uses neither: left out, they cost nothing.
    __VUE_OPTIONS_API__: false,
    __VUE_I18N_LEGACY_API__: false,
    __INTLIFY_PROD_DEVTOOLS__: false,
  },
  build: {
    target: "es2023",
    assetsInlineLimit: 0, // the policy allows no data: addresses
    modulePreload: { polyfill: false }, // every browser of that target knows it
    chunkSizeWarningLimit: 1000, // `delivery` bounds what counts
  },
  server: {
    // `npm run dev` beside `make run`: the page as it is written, with the real API behind it.
    proxy: {
      "/api": {
        target: "http://127.0.0.1:8080",
        changeOrigin: true,
        headers: { Origin: "http://127.0.0.1:8080" },
      },
    },
  },
});
