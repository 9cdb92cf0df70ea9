/**
 * `npm run lock` ends with this: it removes URLs from the lock file of the package that it is run
 * in, so that npm installs from the registry that is configured on each machine. .npmrc omits most
 * of them already.
 */

import { readFileSync, writeFileSync } from "node:fs";

const file = "package-lock.json";
const lock = JSON.parse(readFileSync(file, "utf-8"));
for (const locked of Object.values(lock.packages)) {
  delete locked.funding;
  delete locked.resolved;
}
writeFileSync(file, `${JSON.stringify(lock, null, 2)}\n`);
