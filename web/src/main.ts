import { createApp } from "vue";
import App from "./App.vue";
import { i18n } from "./i18n";
import "./style/base.css";
import "./style/frame.css";
import "./style/exchange.css";
import "./style/markdown.css";

// What is relative is looked up from wherever the page has gone to since, and the icon is, again and again.
for (const icon of document.querySelectorAll<HTMLLinkElement>("link[rel=icon]"))
  icon.setAttribute("href", icon.href);

createApp(App).use(i18n).mount("#app");
