/** A conversation as Markdown, for people to read on elsewhere. */

import type { Conversation, Message } from "../api";
import { endingText, type Translator } from "../components/endingText";
import type { Block, ToolCallBlock } from "../stream";

/** The messages of one branch, in order, below the conversation's title. */
export function toMarkdown(
  conversation: Pick<Conversation, "title" | "system">,
  branch: readonly Message[],
  texts: Translator,
): string {
  const { t } = texts;
  const title = oneLine(conversation.title ?? "") || t("list.untitled");
  const system = conversation.system?.trim();
  const sections = [
    `# ${title}`,
    ...(system ? [`## ${t("systemPrompt.title")}`, system] : []),
    ...branch.flatMap((message) => sectionsOf(message, texts)),
  ];
  return `${sections.join("\n\n")}\n`;
}

function sectionsOf(message: Message, texts: Translator): string[] {
  const { t } = texts;
  const { role, model, blocks, status, finish_reason: finishReason, error } = message;
  const name = t(role === "user" ? "role.question" : "role.answer");
  const sections = [`## ${role === "assistant" && model ? `${name} (${model})` : name}`];
  for (const block of blocks) sections.push(textOf(block, texts));
  if (role === "user" || status === "live") return sections;
  const ending = endingText({ status, finishReason, error, blocks, waiting: null }, texts);
  return ending ? [...sections, `*${ending}*`] : sections;
}

function textOf(block: Block, { t }: Translator): string {
  switch (block.type) {
    case "text":
      return withFenceClosed(block.text.trim());
    case "reasoning":
      return quoted(`**${t("reasoning.done")}**\n\n${block.text.trim()}`);
    case "tool_call":
      return `${t("tool.call", { name: block.name })}\n\n${fenced(pretty(block), "json")}`;
    case "tool_result": {
      const label = t(block.is_error ? "tool.failed" : "tool.result");
      return `${label}\n\n${fenced(block.text)}`;
    }
    case "image":
    case "file": {
      const name = block.type === "image" ? t("file.image") : block.name || t("file.unnamed");
      return block.url?.startsWith("https:") ? `[${oneLine(name)}](<${block.url}>)` : `*${name}*`;
    }
    default:
      return `*${t("block.other", { kind: (block as Block).type })}*`;
  }
}

/** A call's arguments on lines of their own; those that were cut off are no JSON, and stay. */
function pretty(call: ToolCallBlock): string {
  try {
    return JSON.stringify(JSON.parse(call.arguments), null, 2);
  } catch {
    return call.arguments;
  }
}

/** The lines of a text; Markdown has all three ends of lines, and no others. */
const linesOf = (text: string): string[] => text.split(/\r\n?|\n/);

const quoted = (text: string): string =>
  linesOf(text)
    .map((line) => (line ? `> ${line}` : ">"))
    .join("\n");

/** Code between fences that are longer than any in it. */
function fenced(code: string, language = ""): string {
  const runs = code.match(/`+/g) ?? [];
  const fence = "`".repeat(Math.max(3, ...runs.map((run) => run.length + 1)));
  return `${fence}${language}\n${code}\n${fence}`;
}

const FENCE = /^( {0,3})(`{3,}|~{3,})(.*)$/;

/** A text that was cut off within code: its fence would take in all messages after it. */
function withFenceClosed(text: string): string {
  let open: { indentation: string; mark: string } | undefined;
  for (const line of linesOf(text)) {
    const [, indentation = "", mark = "", rest = ""] = FENCE.exec(line) ?? [];
    if (!mark) continue;
    if (!open) open = mark.startsWith("`") && rest.includes("`") ? open : { indentation, mark };
    else if (mark.startsWith(open.mark) && !rest.trim()) open = undefined;
  }
  return open ? `${text}\n${open.indentation}${open.mark}` : text;
}

const oneLine = (text: string): string => text.replaceAll(/\s+/g, " ").trim();
