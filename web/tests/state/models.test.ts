import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { openTab, type FakeTab } from "./fakeBrowser";

const OFFERED = ["default", "big", "small"];
const list = vi.fn();

let tab: FakeTab;
beforeEach(() => {
  list.mockReset().mockResolvedValue({
    data: OFFERED.map((id) => ({ id, default: id === "default" })),
    next: null,
  });
  tab = openTab();
});
afterEach(() => void vi.unstubAllGlobals());

/** The models of a page that was just loaded at `pathname`. */
async function loaded(pathname = "/") {
  vi.resetModules();
  vi.doMock("../../src/state/server", () => ({ api: { models: list }, server: {} }));
  tab = openTab(pathname, { local: tab.local });
  const models = await import("../../src/state/models");
  await models.loadModels();
  return models;
}

test("without a choice it is the last answer's model, then the conversation's, then the default", async () => {
  const { preselectModel, selectedModel } = await loaded("/c/one");

  preselectModel("of the answer", "of the conversation");
  expect(selectedModel.value).toBe("of the answer");
  preselectModel(undefined, "of the conversation");
  expect(selectedModel.value).toBe("of the conversation");
  preselectModel(undefined, null);

  expect(selectedModel.value).toBe("default");
});

test("a model that was chosen is that of new conversations, also of a page loaded later", async () => {
  const first = await loaded("/c/one");
  first.selectedModel.value = "small";

  const { preselectModel, selectedModel } = await loaded("/");
  preselectModel();
  expect(selectedModel.value).toBe("small");
  preselectModel("big");

  expect(selectedModel.value).toBe("big"); // an older conversation goes on with its own
});

test("a model that was chosen for the next question is still chosen when the page is loaded again", async () => {
  const first = await loaded("/c/one");
  first.preselectModel("big");
  first.selectedModel.value = "small";

  const again = await loaded("/c/one");
  again.preselectModel("big");
  expect(again.selectedModel.value).toBe("small");
  const other = await loaded("/c/two");
  other.preselectModel("big");

  expect(other.selectedModel.value).toBe("big");
});

test("a choice that is not offered any more is left out", async () => {
  const first = await loaded("/c/one");
  first.selectedModel.value = "small";
  list.mockResolvedValue({ data: [{ id: "big", default: true }], next: null });

  const { preselectModel, selectedModel } = await loaded("/c/one");
  preselectModel();

  expect(selectedModel.value).toBe("big");
});

test("without a list of models the choice is the server's", async () => {
  (await loaded()).selectedModel.value = "small";
  list.mockRejectedValue(new TypeError("Failed to fetch"));

  const { models, preselectModel, selectedModel } = await loaded();
  preselectModel();

  expect(models.value).toEqual([]);
  expect(selectedModel.value).toBeNull();
});
