/**
 * The path of its site under which the server is reached, without the final slash; "" at the root.
 *
 * The built files lie in one folder under that path, whichever proxy led there, so it is taken from
 * this module's own URL. The page needs no setting for it; the server has `base_path`.
 */

const moduleUrl = import.meta.url;

// In a unit test the module is a file, and there is no server.
export const base = moduleUrl.startsWith("http")
  ? new URL("..", moduleUrl).pathname.slice(0, -1)
  : "";
