/** The page's keyboard shortcuts. Where other chat pages have one for the same, it is the same here. */

import { onBeforeUnmount, onMounted } from "vue";
import { isComposing } from "./composing";

/** A key with the modifiers that it needs. */
interface Keys {
  /** As `KeyboardEvent.key` has it, in lower case. */
  key: string;
  /** The key's place, for layouts on which it types no Latin letter. */
  code: string;
  /** Command on a Mac, Ctrl elsewhere. */
  command?: true;
  shift?: true;
}

/** What the shortcuts do, with their keys. */
export const SHORTCUTS = {
  newConversation: { key: "o", code: "KeyO", command: true, shift: true },
  search: { key: "k", code: "KeyK", command: true },
  focus: { key: "escape", code: "Escape", shift: true },
  stop: { key: "escape", code: "Escape" },
  copyLast: { key: "c", code: "KeyC", command: true, shift: true },
  help: { key: "/", code: "Slash", command: true },
} as const satisfies Record<string, Keys>;

export type ShortcutName = keyof typeof SHORTCUTS;

/** Whether this is a Mac's keyboard, also that of an iPad. */
export const isMac = /Mac|iPhone|iPad/.test(navigator.platform);

/** The shortcut that an event is; undefined if it is none. */
export function shortcutOf(
  event: Pick<KeyboardEvent, "key" | "code" | "ctrlKey" | "metaKey" | "shiftKey" | "altKey">,
  onMac = isMac,
): ShortcutName | undefined {
  const [command, other] = onMac ? [event.metaKey, event.ctrlKey] : [event.ctrlKey, event.metaKey];
  // Browsers that fill in a field report a key without a name.
  if (!event.key || other || event.altKey) return undefined;
  const isLatin = event.key.length > 1 || event.key <= "\x7f";
  const entries = Object.entries(SHORTCUTS) as [ShortcutName, Keys][];
  return entries.find(([, keys]) => {
    const isKey = isLatin ? event.key.toLowerCase() === keys.key : event.code === keys.code;
    // Some layouts have the slash with Shift.
    const isShift = keys.key === "/" || event.shiftKey === Boolean(keys.shift);
    return isKey && isShift && command === Boolean(keys.command);
  })?.[0];
}

/** The caps of a shortcut's keys. */
export function capsOf(name: ShortcutName): string[] {
  const { key, command, shift }: Keys = SHORTCUTS[name];
  const cap = key === "escape" ? "Esc" : key.toUpperCase();
  return [
    ...(command ? [isMac ? "⌘" : "Ctrl"] : []),
    ...(shift ? [isMac ? "⇧" : "Shift"] : []),
    cap,
  ];
}

/** Do what the shortcuts say, while no dialog is open and `isActive`. */
export function useShortcuts(
  actions: Record<ShortcutName, () => void>,
  isActive: () => boolean,
): void {
  function onKeydown(event: KeyboardEvent): void {
    const name = shortcutOf(event);
    if (!name || event.defaultPrevented || isComposing(event) || !isActive()) return;
    if (document.querySelector("dialog[open]")) return;
    // Esc without a modifier belongs to the field or the list in which it is pressed.
    if (name === "stop" && (event.target as Element).closest("input, textarea, select, nav"))
      return;
    if (name !== "stop") event.preventDefault();
    actions[name]();
  }
  onMounted(() => window.addEventListener("keydown", onKeydown));
  onBeforeUnmount(() => window.removeEventListener("keydown", onKeydown));
}
