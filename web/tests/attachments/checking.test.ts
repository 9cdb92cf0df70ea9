import { expect, test } from "vitest";
import type { QuestionLimits } from "../../src/api";
import type { Attachment } from "../../src/attachments/attachment";
import { obstacleOf } from "../../src/attachments/checking";

const limits: QuestionLimits = {
  max_question_chars: 1000,
  max_files: 2,
  max_file_bytes: 300,
  max_body_bytes: 100,
  max_file_body_bytes: 500,
};
const both = ["file", "image", "image_url"];

function attachment(kind: "image" | "file", size = 1): Attachment {
  return { key: "k", kind, name: "a", content: new Blob([new Uint8Array(size)]) };
}

test("what the model does not take is said, by its kind", () => {
  const [image, file] = [attachment("image"), attachment("file")];

  expect(obstacleOf([file, image], ["file"], limits)).toEqual({ reason: "image_not_taken" });
  expect(obstacleOf([file, image], ["image"], limits)).toEqual({ reason: "file_not_taken" });
  expect(obstacleOf([image], ["image_url"], limits)).toEqual({ reason: "image_not_taken" });
  expect(obstacleOf([file, image], both, limits)).toBeNull();
  expect(obstacleOf([], [], limits)).toBeNull();
});

test("more attachments than a question may bring are said with the limit", () => {
  const one = attachment("image");

  expect(obstacleOf([one, one], both, limits)).toBeNull();
  expect(obstacleOf([one, one, one], both, limits)).toEqual({ reason: "too_many", limit: 2 });
});

test("attachments that fill the request together are said, as it is sent: in base64", () => {
  // 400 bytes are left for base64, which are 300 of content.
  const tooLarge = { reason: "too_large_together", limit: 300 };
  const half = attachment("file", 151);

  expect(obstacleOf([attachment("file", 300)], both, limits)).toBeNull();
  expect(obstacleOf([attachment("file", 301)], both, limits)).toEqual(tooLarge);
  expect(obstacleOf([half, half], both, limits)).toEqual(tooLarge);
});

test("what is not known yet is left to the server", () => {
  const many = Array.from({ length: 30 }, () => attachment("image"));
  expect(obstacleOf(many, null, null)).toBeNull();
});
