import { describe, expect, test } from "vitest";
import {
  parametersFor,
  parametersIn,
  takes,
  withParameters,
  type Parameters,
} from "../../src/state/parameters";

const ALL: Parameters = {
  temperature: 0,
  top_p: 0.9,
  max_tokens: 1024,
  reasoning_effort: "low",
};
const model = (...options: string[]) => ({
  ...{ id: "p/m", default: true, input_kinds: [], options },
});

describe("a conversation's metadata", () => {
  test("keeps the parameters beside what other clients keep there", () => {
    const metadata = withParameters({ theirs: "1" }, ALL);

    expect(metadata.theirs).toBe("1");
    expect(parametersIn({ metadata })).toEqual(ALL);
    expect(Object.values(metadata).every((text) => text.length <= 512)).toBe(true);
  });

  test("has no entry once no parameter is set", () => {
    const metadata = withParameters({ theirs: "1" }, ALL);

    expect(withParameters(metadata, {})).toEqual({ theirs: "1" });
    expect(parametersIn({ metadata: {} })).toEqual({});
  });

  test.each([
    ["{", {}],
    ["null", {}],
    ["7", {}],
    ['"temperature"', {}],
    ["[1]", {}],
    ['{"temperature":"1"}', {}],
    ['{"temperature":2.5,"top_p":0,"max_tokens":0}', {}],
    ['{"temperature":-1,"top_p":1.1,"max_tokens":1.5}', {}],
    ['{"reasoning_effort":"most","stop":["x"],"model":"p/other"}', {}],
    ['{"temperature":1,"reasoning_effort":7}', { temperature: 1 }],
  ])("that another client wrote gives only what a question may have: %s", (parameters, given) => {
    expect(parametersIn({ metadata: { parameters } })).toEqual(given);
  });
});

describe("a model", () => {
  test("is asked with the parameters that it takes only", () => {
    const some = model("temperature", "max_tokens", "seed");

    expect(parametersFor(some, ALL)).toEqual({ temperature: 0, max_tokens: 1024 });
    expect(takes(some, "top_p")).toBe(false);
    expect(parametersFor(model(), ALL)).toEqual({});
  });

  test("that the server does not list is asked with all, and refuses what it lacks itself", () => {
    expect(parametersFor(undefined, ALL)).toEqual(ALL);
  });
});
