/** Captions of pictures and clips: what is in the list, how it is captioned, edited and taken out. */
import { z } from 'zod';
import { captionSettingsSchema } from './caption-settings.ts';
import { bytesSchema, idSchema, nothingSchema, timestampSchema } from './common.ts';
import { errorDataSchema } from './errors.ts';
import { grantSchema } from './files.ts';
import { call, stream } from './rpc/define.ts';

export const captionKindSchema = z.enum(['picture', 'clip']);
export type CaptionKind = z.infer<typeof captionKindSchema>;

/** `edited`: a person wrote or changed it; a batch leaves it alone, as it does what is locked. */
export const captionStateSchema = z.enum(['waiting', 'running', 'done', 'edited', 'failed']);
export type CaptionState = z.infer<typeof captionStateSchema>;

const secondsSchema = z.number().min(0);
export const captionTextSchema = z.string().max(200_000);

/** A stretch of a clip. */
export const captionSegmentSchema = z.object({
  /** Of the whole file. */
  start: secondsSchema,
  end: secondsSchema,
  text: captionTextSchema,
  /** When the frames were taken that the model saw. */
  frames: z.array(secondsSchema),
});
export type CaptionSegment = z.infer<typeof captionSegmentSchema>;

/** `loop`: it went in circles and was cut there; `cut`: it has all the words it may have; `avoided`: it holds words to avoid. */
export const captionNoteSchema = z.enum(['', 'loop', 'cut', 'avoided']);
export type CaptionNote = z.infer<typeof captionNoteSchema>;

export const captionItemSchema = z.object({
  id: idSchema,
  /** The file's name, and its folder relative to what was added; empty at the top. */
  name: z.string(),
  folder: z.string(),
  kind: captionKindSchema,
  state: captionStateSchema,
  isLocked: z.boolean(),
  /** Of a clip: the whole of it. */
  text: captionTextSchema,
  /** Of clips; in the order of time. */
  segments: z.array(captionSegmentSchema),
  error: errorDataSchema.nullable(),
  /** Something to know about a caption that was made. */
  note: captionNoteSchema,
  /** Of the model that wrote it; empty for none. */
  modelName: z.string(),
  /** The question as the model read it. */
  prompt: z.string(),
  /** As shown, after rotation; null until the file was looked at. */
  width: z.number().int().positive().nullable(),
  height: z.number().int().positive().nullable(),
  /** Of clips. */
  seconds: z.number().positive().nullable(),
  /** What the text file beside it held when it was added. */
  tags: z.string(),
  updatedAt: timestampSchema,
});
export type CaptionItem = z.infer<typeof captionItemSchema>;

/** Which items: all of them by default. */
export const captionFilterSchema = z.object({
  /** `locked` is any state with a lock. */
  state: z.union([captionStateSchema, z.literal('locked'), z.literal('all')]).default('all'),
  /** In names, folders and captions. */
  search: z.string().max(500).default(''),
});
export type CaptionFilter = z.infer<typeof captionFilterSchema>;

export const captionCountsSchema = z.object({
  all: z.number().int(),
  waiting: z.number().int(),
  running: z.number().int(),
  done: z.number().int(),
  edited: z.number().int(),
  failed: z.number().int(),
  locked: z.number().int(),
});
export type CaptionCounts = z.infer<typeof captionCountsSchema>;

/** The batch at work. `preview`: its first results are there, and it waits for `goOn`. Pause and cancel: the job's own. */
export const captionBatchSchema = z.object({
  jobId: idSchema,
  modelName: z.string(),
  stage: z.enum(['waiting', 'loading', 'captioning', 'preview']),
  /** Of loading, 0 to 1. */
  fraction: z.number().min(0).max(1).nullable(),
  done: z.number().int(),
  failed: z.number().int(),
  total: z.number().int(),
  etaSeconds: z.number().nonnegative().nullable(),
  itemId: idSchema.nullable(),
});
export type CaptionBatch = z.infer<typeof captionBatchSchema>;

export const captionStepSchema = z.enum(['edit', 'replace', 'lock', 'unlock', 'remove', 'clear', 'again']);

export const captionSummarySchema = z.object({
  counts: captionCountsSchema,
  batch: captionBatchSchema.nullable(),
  /** What undo and redo would do, and to how many items; null where there is nothing. */
  undo: z.object({ step: captionStepSchema, items: z.number().int() }).nullable(),
  redo: z.object({ step: captionStepSchema, items: z.number().int() }).nullable(),
});
export type CaptionSummary = z.infer<typeof captionSummarySchema>;

/** What main asks a page about a clip, since pages decode. All choosing of times is done in main. */
export const clipRequestSchema = z.object({
  requestId: idSchema,
  itemId: idSchema,
  name: z.string(),
  want: z.discriminatedUnion('type', [
    z.object({ type: z.literal('facts') }),
    /** The frame shown at each of these times (ascending), rotated as it should be seen, no side longer than `maxSide`. */
    z.object({
      type: z.literal('frames'),
      seconds: z.array(secondsSchema).max(1000),
      maxSide: z.number().int().positive(),
    }),
    /** The same, all of exactly this size, as `rgba`: for finding scenes. */
    z.object({
      type: z.literal('small'),
      seconds: z.array(secondsSchema).max(1000),
      width: z.number().int().positive(),
      height: z.number().int().positive(),
    }),
  ]),
});
export type ClipRequest = z.infer<typeof clipRequestSchema>;

export const clipFrameSchema = z.object({
  /** The one asked for; the answer's order is that of the request. */
  seconds: secondsSchema,
  width: z.number().int().positive().max(16_384),
  height: z.number().int().positive().max(16_384),
  /** `rgba` and `rgb`: rows of 8-bit values; others: a file. */
  encoding: z.enum(['rgba', 'rgb', 'jpeg', 'png', 'webp']),
  bytes: bytesSchema,
});
export type ClipFrame = z.infer<typeof clipFrameSchema>;

export const clipFactsSchema = z.object({
  seconds: z.number().positive(),
  /** As shown, after rotation. */
  width: z.number().int().positive(),
  height: z.number().int().positive(),
  codec: z.string().max(100),
});
export type ClipFacts = z.infer<typeof clipFactsSchema>;

export const captionModelInfoSchema = z.object({
  family: z.string(),
  /** Pictures that it can look at in one go; clips are captioned frame by frame where it is 1. */
  mostPictures: z.number().int().positive(),
  contextLength: z.number().int().positive(),
});
export type CaptionModelInfo = z.infer<typeof captionModelInfoSchema>;

export const captionFormats = ['txt', 'jsonl', 'csv', 'srt', 'vtt'] as const;
export const captionFormatSchema = z.enum(captionFormats);
export type CaptionFormat = z.infer<typeof captionFormatSchema>;

const itemIdsSchema = z.array(idSchema).max(1_000_000);

export const captionContract = {
  describe: call(z.object({ modelId: idSchema }), captionModelInfoSchema),
  /** Adds files, and folders with all that is in them. What is in the list already is not added again. */
  add: call(
    z.object({
      /** `folder`: where a single file lay in what was dropped, for pages that walk folders themselves. */
      grants: z.array(z.object({ grantId: idSchema, folder: z.string().max(4096).default('') })).max(100_000),
      recursive: z.boolean().default(true),
      /** With a text file beside it: `ignore` it (it becomes `tags`), take it as an edited caption, or skip the item. */
      sidecars: z.enum(['ignore', 'load', 'skip']).default('ignore'),
    }),
    z.object({
      added: z.number().int(),
      /** Already in the list, with a sidecar that was asked to skip, or neither picture nor clip. */
      present: z.number().int(),
      skipped: z.number().int(),
      ignored: z.number().int(),
      /** Folders and files that could not be read. */
      problems: z.array(errorDataSchema),
    }),
  ),
  /** A window of the list, in the order in which things were added. */
  list: call(
    z.object({
      filter: captionFilterSchema,
      offset: z.number().int().min(0),
      limit: z.number().int().min(1).max(500),
    }),
    z.object({ total: z.number().int(), items: z.array(captionItemSchema) }),
  ),
  /** All that the filter lets through, in the list's order. */
  ids: call(z.object({ filter: captionFilterSchema }), z.object({ ids: z.array(idSchema) })),
  get: call(z.object({ itemId: idSchema }), captionItemSchema),
  summary: call(nothingSchema, captionSummarySchema),
  /**
   * The picture, upright and in sRGB, no side longer than `side`; of a clip the frame at `seconds` (null: one that
   * stands for it). Null for a clip that nobody here can decode.
   */
  picture: call(
    z.object({
      itemId: idSchema,
      side: z.number().int().min(16).max(4096),
      seconds: secondsSchema.nullable().default(null),
    }),
    z.object({ bytes: bytesSchema, type: z.literal('image/webp') }).nullable(),
  ),
  /** Bytes of the file itself, for a page that decodes it; fewer at its end. */
  read: call(
    z.object({
      itemId: idSchema,
      offset: z.number().int().min(0),
      length: z
        .number()
        .int()
        .min(1)
        .max(8 * 2 ** 20),
    }),
    z.object({ bytes: bytesSchema, sizeBytes: z.number().int().nonnegative() }),
  ),
  /** A grant for the file itself, for a media address. */
  open: call(z.object({ itemId: idSchema }), grantSchema),

  /** Begins with the summary. A page that can decode clips says so, and answers what is `wanted`. */
  watch: stream(
    z.object({ canDecodeClips: z.boolean() }),
    z.discriminatedUnion('type', [
      z.object({ type: z.literal('summary'), summary: captionSummarySchema }),
      /** They are as given now. */
      z.object({ type: z.literal('items'), items: z.array(captionItemSchema) }),
      /** Many changed, came or went: ask `list` and `ids` again. */
      z.object({ type: z.literal('changed') }),
      /** A caption in the making: all of its text so far. `segment` counts a clip's stretches; null: its summary. */
      z.object({
        type: z.literal('writing'),
        itemId: idSchema,
        segment: z.number().int().nullable(),
        text: captionTextSchema,
      }),
      z.object({ type: z.literal('wanted'), request: clipRequestSchema }),
      /** It is of no use any more. */
      z.object({ type: z.literal('unwanted'), requestId: idSchema }),
    ]),
  ),
  /** Answers to `wanted`. Frames may come in pieces, in order; `isLast` ends them. */
  giveFacts: call(z.object({ requestId: idSchema, facts: clipFactsSchema }), nothingSchema),
  giveFrames: call(
    z.object({ requestId: idSchema, frames: z.array(clipFrameSchema).max(1000), isLast: z.boolean() }),
    nothingSchema,
  ),
  /** The page cannot: `not-supported` names the codec, `bad-file` what is wrong with the file. */
  failClip: call(z.object({ requestId: idSchema, error: errorDataSchema }), nothingSchema),

  /** Starts a batch. Edited and locked items are left alone, whatever is asked for. */
  start: call(
    z.object({
      modelId: idSchema,
      settings: captionSettingsSchema,
      /** Null: all. */
      itemIds: itemIdsSchema.nullable(),
      /** `missing`: those that wait or failed; `all`: those with a caption too, whose old one undo brings back. */
      which: z.enum(['missing', 'all']).default('missing'),
      /** After so many it waits for `goOn`; 0: no pause. */
      previewFirst: z.number().int().min(0).max(1000).default(0),
    }),
    z.object({ jobId: idSchema, items: z.number().int() }),
  ),
  /** The preview is good: all the others, too. */
  goOn: call(z.object({ jobId: idSchema }), nothingSchema),

  /** `segment`: which stretch of a clip; null: the caption as a whole. */
  edit: call(
    z.object({ itemId: idSchema, segment: z.number().int().min(0).nullable(), text: captionTextSchema }),
    captionItemSchema,
  ),
  lock: call(z.object({ itemIds: itemIdsSchema, isLocked: z.boolean() }), nothingSchema),
  /** Back to `waiting`, without a caption. Locked ones stay. */
  clear: call(z.object({ itemIds: itemIdsSchema }), nothingSchema),
  remove: call(z.object({ itemIds: itemIdsSchema }), nothingSchema),
  /** In captions and stretches of all items but the locked ones. Without `apply` it only counts. */
  replace: call(
    z.object({
      find: z.string().min(1).max(1000),
      replacement: z.string().max(10_000),
      matchCase: z.boolean().default(false),
      wholeWord: z.boolean().default(false),
      itemIds: itemIdsSchema.nullable(),
      apply: z.boolean(),
    }),
    z.object({
      matches: z.number().int(),
      items: z.number().int(),
      /** The first few, before and after. */
      samples: z.array(z.object({ itemId: idSchema, before: z.string(), after: z.string() })),
    }),
  ),
  /** Of edits, replacements, locks, clearing, removing, and captions made anew. False where there is nothing. */
  undo: call(nothingSchema, z.object({ isDone: z.boolean() })),
  redo: call(nothingSchema, z.object({ isDone: z.boolean() })),

  /** A question about one item; the answer so far with each event. The conversation is the page's to keep. */
  ask: stream(
    z.object({
      itemId: idSchema,
      modelId: idSchema,
      question: z.string().trim().min(1).max(20_000),
      history: z
        .array(z.object({ role: z.enum(['user', 'assistant']), text: z.string().max(200_000) }))
        .max(200)
        .default([]),
      settings: captionSettingsSchema.pick({ maxTokens: true, temperature: true, seed: true, sampling: true }),
    }),
    z.object({
      stage: z.enum(['waiting', 'loading', 'looking', 'answering', 'done']),
      fraction: z.number().min(0).max(1).nullable(),
      text: captionTextSchema,
    }),
  ),

  /** Writes files: `.txt`, `.srt` or `.vtt` each beside its picture or clip, or anything into a granted folder. */
  exportFiles: call(
    z.object({
      format: captionFormatSchema,
      itemIds: itemIdsSchema.nullable(),
      /** Null: beside. */
      folderGrantId: idSchema.nullable(),
      existing: z.enum(['skip', 'replace']).default('skip'),
    }),
    z.object({
      written: z.number().int(),
      /** Files that were there, and items without a caption or of no use for that format. */
      skipped: z.number().int(),
      empty: z.number().int(),
      problems: z.array(errorDataSchema),
    }),
  ),
  /** The same as bytes: one file, or a zip of many. */
  exportBytes: call(
    z.object({ format: captionFormatSchema, itemIds: itemIdsSchema.nullable() }),
    z.object({ name: z.string(), type: z.string(), bytes: bytesSchema, written: z.number().int() }),
  ),
} as const;
