import { createApp } from "vue";
import App from "./App.vue";
import { i18n, showLanguage } from "./i18n";
import "./style/base.css";
import "./style/layout.css";
import "./style/sideBar.css";
import "./style/composer.css";
import "./style/dialog.css";
import "./style/chat.css";
import "./style/question.css";
import "./style/markdown.css";
import "./style/touch.css";
import "./style/short.css";
import "./style/forcedColours.css";
import "./style/print.css";

// Browsers load icons and the manifest later, when a relative address would refer to the
// conversation's URL.
for (const link of document.querySelectorAll<HTMLLinkElement>(
  "link[rel$=icon], link[rel=manifest]",
))
  link.setAttribute("href", link.href);

await showLanguage();
createApp(App).use(i18n).mount("#app");
