/**
 * What every script here begins with: what the test gave it, and how it talks with the test.
 *
 * Each line that it writes is a value as JSON; the last one is the script's result.
 */

import { createInterface } from "node:readline";

/** Say something to the test: `await script.heard()` there. */
export function say(value) {
  process.stdout.write(`${JSON.stringify(value ?? null)}\n`);
}

/** The next thing that the test said: `script.say(...)` there. */
export async function heard() {
  lines ??= createInterface({ input: process.stdin })[Symbol.asyncIterator]();
  return JSON.parse((await lines.next()).value);
}

/**
 * Ask once for each line of the test, which ends the answers in its ways; `ask` calls its argument
 * when the answer's text has begun, and returns how the answer ended.
 */
export async function endings(ask) {
  while (await heard()) say(await ask(() => say("begun")));
}

/** Run the script: what `work` returns is its result. */
export async function run(work) {
  say(await work(JSON.parse(process.argv[2])));
  process.exit(0); // connections that are kept alive would hold it up
}

/** An error as the test sees it, whatever was thrown. */
export function described(error) {
  if (typeof error !== "object" || error === null) return { message: String(error) };
  const { name, message, status, code, type } = error;
  return { name, message, status, code, type };
}

let lines;
