/** Conversations: trees of messages. Editing and regenerating add branches; nothing is overwritten. */
import { z } from 'zod';
import { bytesSchema, idSchema, nameSchema, nothingSchema, timestampSchema } from './common.ts';
import { errorDataSchema } from './errors.ts';
import { call, stream } from './rpc/define.ts';

/** The one place for sampler defaults. */
export const samplerSchema = z.object({
  temperature: z.number().min(0).max(5).default(0.7),
  /** 0 switches it off. */
  topK: z.number().int().min(0).max(1000).default(40),
  topP: z.number().min(0).max(1).default(0.95),
  minP: z.number().min(0).max(1).default(0.05),
  /** 1 switches it off. */
  repeatPenalty: z.number().min(0.5).max(2).default(1.1),
  /** Null picks a new one for each answer; the one used is kept with the answer. */
  seed: z.number().int().min(0).max(0xffff_ffff).nullable().default(null),
  /** Null: until the model stops or the context is full. */
  maxTokens: z.number().int().min(1).max(1_000_000).nullable().default(null),
});
export type Sampler = z.infer<typeof samplerSchema>;
export const defaultSampler: Sampler = samplerSchema.parse({});

/** Tokens of context where none are asked for: the model's own length, but no more than this. */
export const defaultContextLimit = 16_384;

export const messageTextSchema = z.string().max(2_000_000);
export const systemPromptSchema = z.string().max(200_000);

export const conversationSchema = z.object({
  id: idSchema,
  title: z.string(),
  modelId: idSchema.nullable(),
  systemPrompt: systemPromptSchema,
  sampler: samplerSchema,
  /** Tokens of context to allocate; null: the model's own, up to `defaultContextLimit` and as far as memory allows. */
  contextSize: z.number().int().min(64).max(10_000_000).nullable(),
  activeLeafId: idSchema.nullable(),
  messageCount: z.number().int().nonnegative(),
  /** True while an answer is being made. */
  isAnswering: z.boolean(),
  createdAt: timestampSchema,
  updatedAt: timestampSchema,
});
export type Conversation = z.infer<typeof conversationSchema>;

export const answerStatsSchema = z.object({
  promptTokens: z.number().int().nonnegative(),
  /** Of the prompt's tokens, those found in the cache of an earlier turn. */
  cachedTokens: z.number().int().nonnegative(),
  generatedTokens: z.number().int().nonnegative(),
  timeToFirstTokenMs: z.number().nonnegative(),
  tokensPerSecond: z.number().nonnegative(),
  stopReason: z.enum(['end', 'length', 'context-full', 'stopped']),
  contextUsed: z.number().int().nonnegative(),
  contextSize: z.number().int().positive(),
  seed: z.number().int().nonnegative(),
});
export type AnswerStats = z.infer<typeof answerStatsSchema>;

export const messageSchema = z.object({
  id: idSchema,
  conversationId: idSchema,
  parentId: idSchema.nullable(),
  role: z.enum(['user', 'assistant']),
  text: messageTextSchema,
  /** `interrupted`: the studio or the engine ended in the middle; the text so far is kept. */
  status: z.enum(['complete', 'answering', 'stopped', 'failed', 'interrupted']),
  error: errorDataSchema.nullable(),
  modelName: z.string().nullable(),
  stats: answerStatsSchema.nullable(),
  /** All messages with the same parent, oldest first, this one included. */
  siblingIds: z.array(idSchema),
  createdAt: timestampSchema,
});
export type Message = z.infer<typeof messageSchema>;

/** Where an answer is before its first token. */
export const answerStageSchema = z.object({
  stage: z.enum(['queued', 'loading', 'reading']),
  /** 0 to 1, null when it cannot be told. */
  fraction: z.number().min(0).max(1).nullable(),
  etaSeconds: z.number().nonnegative().nullable(),
});
export type AnswerStage = z.infer<typeof answerStageSchema>;

export const conversationEventSchema = z.discriminatedUnion('type', [
  /** First event, and again whenever the active path changes. `path` runs from the root to the active leaf. */
  z.object({ type: z.literal('snapshot'), conversation: conversationSchema, path: z.array(messageSchema) }),
  z.object({ type: z.literal('stage'), messageId: idSchema, stage: answerStageSchema }),
  /** `text` begins at character (UTF-16 unit) `offset` of the message; a reader that lags gets larger pieces. */
  z.object({
    type: z.literal('delta'),
    messageId: idSchema,
    offset: z.number().int().nonnegative(),
    text: z.string(),
    tokensPerSecond: z.number().nonnegative(),
  }),
  /** The message as it now stands: its end, or its failure. */
  z.object({ type: z.literal('message'), message: messageSchema, conversation: conversationSchema }),
  z.object({ type: z.literal('gone') }),
]);
export type ConversationEvent = z.infer<typeof conversationEventSchema>;

export const searchHitSchema = z.object({
  conversationId: idSchema,
  conversationTitle: z.string(),
  messageId: idSchema,
  role: z.enum(['user', 'assistant']),
  /** Text around the match, in pieces; `match` pieces are to be shown marked. */
  snippet: z.array(z.object({ text: z.string(), match: z.boolean() })),
  createdAt: timestampSchema,
});
export type SearchHit = z.infer<typeof searchHitSchema>;

export const exportFormatSchema = z.enum(['markdown', 'json']);

export const chatContract = {
  /** Newest first. */
  list: call(nothingSchema, z.array(conversationSchema)),
  create: call(z.object({ modelId: idSchema.nullable().optional(), title: nameSchema.optional() }), conversationSchema),
  update: call(
    z.object({
      conversationId: idSchema,
      title: nameSchema.optional(),
      modelId: idSchema.nullable().optional(),
      systemPrompt: systemPromptSchema.optional(),
      sampler: samplerSchema.optional(),
      contextSize: conversationSchema.shape.contextSize.optional(),
    }),
    conversationSchema,
  ),
  remove: call(z.object({ conversationId: idSchema }), nothingSchema),
  /** Undo of `remove`, for as long as the studio keeps it (30 days). */
  restore: call(z.object({ conversationId: idSchema }), conversationSchema),
  /**
   * Adds a user message under `parentId` (left out: the active leaf; null: a new root) and starts the
   * answer. Editing a message is sending another one under the same parent.
   */
  send: call(
    z.object({
      conversationId: idSchema,
      text: messageTextSchema.refine((text) => text.trim().length > 0, 'The message is empty.'),
      parentId: idSchema.nullable().optional(),
    }),
    z.object({ userMessageId: idSchema, answerId: idSchema }),
  ),
  /** Another answer beside this one. */
  regenerate: call(z.object({ messageId: idSchema }), z.object({ answerId: idSchema })),
  /** Resolves when the answer has stopped; what was made so far is kept. */
  stop: call(z.object({ conversationId: idSchema }), nothingSchema),
  /** Makes the newest leaf below this message the active one. */
  selectBranch: call(z.object({ messageId: idSchema }), nothingSchema),
  watch: stream(z.object({ conversationId: idSchema }), conversationEventSchema),
  /** Full-text search over all messages, best first. */
  search: call(
    z.object({ query: z.string().max(1000), limit: z.number().int().min(1).max(200).default(50) }),
    z.array(searchHitSchema),
  ),
  /** One conversation, or all of them (null). Several Markdown files come as a zip. */
  exportChats: call(
    z.object({ conversationId: idSchema.nullable(), format: exportFormatSchema }),
    z.object({ fileName: z.string(), mimeType: z.string(), bytes: bytesSchema }),
  ),
  /** Takes the JSON that `exportChats` writes. Conversations that are here already are skipped. */
  importChats: call(
    z.object({ bytes: bytesSchema }),
    z.object({ imported: z.number().int().nonnegative(), skipped: z.number().int().nonnegative() }),
  ),
  /** Tokens that the active path and the draft would take, when the model is loaded; else an estimate. */
  measure: call(
    z.object({ conversationId: idSchema, draft: messageTextSchema }),
    z.object({
      tokens: z.number().int().nonnegative(),
      contextSize: z.number().int().positive().nullable(),
      isExact: z.boolean(),
    }),
  ),
} as const;
