/**
 * `npm run lock`: the lock file names no host. npm is told by .npmrc to leave out where packages
 * come from, so that yours decides; here go the addresses where their authors ask for support.
 */

import { readFileSync, writeFileSync } from "node:fs";

const file = new URL("../package-lock.json", import.meta.url);
const lock = JSON.parse(readFileSync(file, "utf-8"));
for (const locked of Object.values(lock.packages)) {
  delete locked.funding;
  delete locked.resolved;
}
writeFileSync(file, `${JSON.stringify(lock, null, 2)}\n`);
