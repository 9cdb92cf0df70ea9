/** The open conversation: loading it, and changing what is shown of it. */

import { computed, ref, shallowRef, watch, type Ref } from "vue";
import { codeOf, type Conversation, type Message } from "../api";
import { ApiError } from "../stream";
import { answerReaders, readAnswer } from "./answerReaders";
import { conversations } from "./conversations";
import { fromStored, type DisplayedMessage } from "./displayedMessage";
import { drafts } from "./drafts";
import { edits } from "./edits";
import { messageStore } from "./messageStore";
import { parametersIn, withParameters, type Parameters } from "./parameters";
import { pendingTurns } from "./pendingTurns";
import { conversationId, NOWHERE } from "./route";
import { api } from "./server";
import { notifyTabs } from "./tabs";

const { path, live, isAsking } = messageStore;
const conversation = shallowRef<Conversation | null>(null);
/** `missing` if it does not exist, `failed` if it could not be loaded, `nowhere` if none is meant. */
const state = ref<"ready" | "loading" | "missing" | "failed" | "nowhere">(
  conversationId.value === NOWHERE ? "nowhere" : "ready",
);
/** The code of the error for which the conversation could not be loaded. */
const loadError = ref("");
const systemPrompt = ref("");
const parameters = shallowRef<Parameters>({});
/** The text in the composer. */
const draft = computed({
  get: () => drafts.read("question", conversationId.value),
  set: (text) => drafts.write("question", conversationId.value, text),
});
/** Whether the end of the page is in sight; a user who has scrolled up is reading something. */
const isAtEnd = ref(true);

/** Show the conversation in the URL. */
async function open(): Promise<void> {
  if (messageStore.id.value === conversationId.value) return;
  conversation.value = null;
  systemPrompt.value = "";
  parameters.value = {};
  state.value = conversationId.value === NOWHERE ? "nowhere" : "ready";
  messageStore.reset(conversationId.value, pendingTurns.get(conversationId.value));
  await refresh();
}

/** Load the open conversation from the server. Answers that are being read here are not disturbed. */
async function refresh(): Promise<void> {
  const id = messageStore.id.value;
  const isLoaded = messageStore.isLoaded.value;
  const before = messageStore.messages.value;
  if (id === null || id === NOWHERE || (isLoaded && isAsking.value)) return;
  if (!isLoaded && state.value !== "failed") state.value = "loading";
  try {
    const [loaded, page] = await Promise.all([api.conversation(id), api.messages(id)]);
    // The user may have opened another conversation meanwhile, or asked a question in this one.
    if (id !== messageStore.id.value || (isLoaded && isAsking.value)) return;
    // A question may have been accepted meanwhile, which the loaded page may lack.
    if (!isLoaded && messageStore.messages.value !== before) return await refresh();
    show(loaded);
    conversations.upsert(loaded);
    await messageStore.merge(page, reusingMessages(), isAtEnd.value && !isEditing());
    if (id === messageStore.id.value) state.value = "ready";
  } catch (error) {
    if (id !== messageStore.id.value) return;
    if (error instanceof ApiError && error.status === 404) {
      messageStore.reset(id);
      state.value = "missing";
    } else {
      state.value = messageStore.isLoaded.value ? "ready" : "failed";
      loadError.value = codeOf(error);
    }
  }
}

/** Try again to load the open conversation, and show that. */
async function retry(): Promise<void> {
  state.value = "loading";
  await refresh();
}

/** Show what is stored of the open conversation, but for its messages. */
function show(stored: Conversation): void {
  conversation.value = stored;
  systemPrompt.value = stored.system ?? "";
  parameters.value = parametersIn(stored);
}

/** Whether a question on the shown path is being edited. */
function isEditing(): boolean {
  return path.value.some((message) => edits.get(message) !== undefined);
}

/**
 * Returns a function that makes displayed messages of loaded ones. It reuses those that are on the
 * page, and starts to read live answers.
 */
function reusingMessages(): (message: Message) => DisplayedMessage {
  const displayed = new Map(messageStore.messages.value.map((message) => [message.id, message]));
  return (message) => {
    const existing = answerReaders.get(message.id)?.message ?? displayed.get(message.id);
    if (message.status === "live") {
      const answer = existing ?? fromStored(message);
      if (!answerReaders.has(message.id))
        void readAnswer(message.id, message.conversation_id, answer);
      return answer;
    }
    // An answer that ended while it was not read here is replaced by what was stored.
    return existing && existing.status === message.status ? existing : fromStored(message);
  };
}

/** Show another branch, unless a question is being sent, whose branch will be shown. */
async function selectBranch(message: DisplayedMessage): Promise<void> {
  if (message.id !== null && !isAsking.value) await messageStore.select(message.id);
}

/**
 * Store settings with a conversation, or keep them for the first question of a new one (`id` is null).
 * Unless the stored ones `wereShown` when these were written, what is empty was not emptied, and stays.
 */
async function configure(
  settings: { systemPrompt: string; parameters: Parameters },
  wereShown = conversation.value !== null,
  id = messageStore.id.value,
): Promise<void> {
  if (id === null) {
    const isEmpty = Object.keys(settings.parameters).length === 0;
    drafts.write("system", null, settings.systemPrompt);
    drafts.write("parameters", null, isEmpty ? "" : JSON.stringify(settings.parameters));
    return;
  }
  // Not what is shown: another client may have changed the metadata, which are stored whole.
  const stored = await api.conversation(id);
  const kept = wereShown ? {} : parametersIn(stored);
  const changed = await api.change(id, {
    system: settings.systemPrompt || (wereShown ? null : stored.system),
    metadata: withParameters(stored.metadata, { ...kept, ...settings.parameters }),
  });
  if (messageStore.id.value === id) show(changed);
  notifyTabs({ conversation: id, what: "changed" }); // they ask with the same parameters
}

/** The conversation in the URL; a new one is followed to its id, the user not to another one. */
function place(): Readonly<Ref<string | null>> {
  const found = ref(conversationId.value);
  watch(
    conversationId,
    (id) => {
      // The URL is ahead of the messages where another conversation is opened.
      if (found.value === null && id === messageStore.id.value) found.value = id;
    },
    { flush: "sync" },
  );
  return found;
}

// The settings of a new conversation are the same in all tabs, and those of the user who signs in.
watch(
  () =>
    [messageStore.id.value, drafts.read("system", null), drafts.read("parameters", null)] as const,
  ([id, keptSystemPrompt, keptParameters]) => {
    if (id !== null) return;
    systemPrompt.value = keptSystemPrompt;
    parameters.value = parametersIn({ metadata: { parameters: keptParameters } });
  },
  { immediate: true, flush: "sync" },
);

/**
 * A new conversation has been made with its settings: the next one has none, unless another tab has
 * meanwhile given it a system prompt that is not the one that was sent.
 */
function forgetNewSettings(sentSystemPrompt: string): void {
  if (drafts.read("system", null) !== sentSystemPrompt) return;
  drafts.write("system", null, "");
  drafts.write("parameters", null, "");
}

/** Rename a conversation, which may be the open one. */
async function rename(renamed: Conversation, title: string): Promise<void> {
  const changed = await conversations.rename(renamed, title);
  if (messageStore.id.value === changed.id) conversation.value = changed;
}

export const chat = {
  ...{ conversation, path, live, state, loadError, systemPrompt, parameters, draft, isAtEnd },
  olderCursor: messageStore.olderCursor,
  /** The ids of the conversations with an answer that is being read here. */
  busyConversations: computed(
    () => new Set([...answerReaders.values()].map(({ conversation }) => conversation)),
  ),
  ...{ open, refresh, retry, show, rename, selectBranch, configure, place, forgetNewSettings },
  ...{ loadOlder: messageStore.loadOlder, siblings: messageStore.siblings },
};
