import { createApp } from "vue";
import App from "./App.vue";
import { i18n } from "./i18n";
import "./style/base.css";
import "./style/frame.css";
import "./style/exchange.css";
import "./style/markdown.css";

createApp(App).use(i18n).mount("#app");
