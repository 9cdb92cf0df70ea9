import { expect, test } from "vitest";
import api from "../../../docs/api.md?raw";
import { errors as english } from "../../src/i18n/errorsEn";
import { errors as chinese } from "../../src/i18n/errorsZh";

/** The codes in the first column of the tables below "Errors". */
const documented = api
  .split(/^## /m)
  .filter((section) => section.startsWith("Errors\n"))
  .flatMap((section) => [...section.matchAll(/^\| (`.*?) \|/gm)])
  .flatMap(([, cell]) => [...(cell ?? "").matchAll(/`(\w+)`/g)])
  .map(([, code]) => code);

test("the tables are found", () => {
  expect(documented).toContain("bad_request");
  expect(documented).toContain("foreign_origin");
  expect(documented).toContain("lease_lost");
});

test.each([
  ["English", english],
  ["Chinese", chinese],
])("every code of the API has words in %s", (_language, errors) => {
  expect(documented.filter((code) => !(code! in errors))).toEqual([]);
});

test("no code that the API does not have has words, but for the page's own", () => {
  const own = [
    "attachments_lost",
    "copy_refused",
    "other",
    "page_outdated",
    "unreachable",
    "unreadable",
  ];

  const unknown = Object.keys(english).filter((code) => !documented.includes(code));

  expect(unknown.sort()).toEqual(own);
});

test("each is a whole sentence, so that it can follow another one", () => {
  expect(Object.values(english).filter((text) => !/^[A-Z].*\.$/.test(text))).toEqual([]);
  expect(Object.values(chinese).filter((text) => !/。$/.test(text))).toEqual([]);
});
