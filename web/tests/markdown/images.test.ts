import { expect, test } from "vitest";
import { htmlOf } from "./rendering";

const PIXEL = `data:image/png;base64,${btoa("\x89PNG pixel")}`;

test("an image in the text itself is shown from a blob", async () => {
  const html = await htmlOf(`![A dot](${PIXEL}) <img src="${PIXEL}" alt="B">`);

  expect(html.match(/<img class="external-image" src="blob:[^"]+" alt="(A dot|B)">/g)).toHaveLength(
    2,
  );
  expect(html).not.toContain("data:image");
});

test.each(["data:image/png;base64,%%%", "data:image/png;base64,A"])(
  "a damaged one is said to be so: %s",
  async (address) => {
    const html = await htmlOf(`![A dot](${address})`);

    expect(html).toContain("<span>A dot</span><small>This image is damaged");
  },
);

test.each(["data:image/svg+xml;base64,AAAA", "data:image/png,raw", "data:text/html;base64,AAAA"])(
  "of another kind it is the text that was written: %s",
  async (address) => {
    expect(await htmlOf(`![A dot](${address})`)).toContain(`![A dot](${address})`);
  },
);

test("while it arrives its bytes are not shown as text", async () => {
  const part = `Look: ![A dot](${PIXEL.slice(0, -4)}`;

  expect(await htmlOf(part, true)).toBe(
    '<p dir="auto">Look: <span class="image-text"><span>A dot</span></span></p>',
  );
  expect(await htmlOf(part)).toContain("This image is damaged");
});

test("what only looks like the beginning of one remains text", async () => {
  for (const text of [
    "![A [dot",
    "![A dot](data:image/png",
    "![![![",
    "![A dot](data:image/png;base64,AA b",
  ])
    expect(await htmlOf(text, true)).toBe(`<p dir="auto">${text}</p>`);
});
