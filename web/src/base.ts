/**
 * Where the server is: below which path of its site, without the slash at the end; "" for all of it.
 *
 * The built files lie in one folder under it, however a proxy got there, so this is read off their own
 * address. Nobody has to tell the page; the server is told by `base_path`.
 */

const here = import.meta.url;

// A unit test's is a file, and has no server.
export const base = here.startsWith("http") ? new URL("..", here).pathname.slice(0, -1) : "";
