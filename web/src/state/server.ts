/** The server of this page, which requests reach in the name of the user who has signed in. */

import { apiClient } from "../api";
import { base } from "../base";
import { headers } from "./session";

/** What each request and each stream needs to reach the server. */
export const server = { baseUrl: base, headers };

/** The API's requests that do not stream. They wait while the page asks for a key. */
export const api = apiClient(server);
