/**
 * How a contract is written: groups of methods, each a call (one answer) or a stream (many events).
 * Both sides are inferred from it: `Handlers` for the server, `Client` for the page. A method without
 * a handler does not compile.
 */
import type { z } from 'zod';

export interface CallDefinition<Input extends z.ZodType = z.ZodType, Output extends z.ZodType = z.ZodType> {
  readonly kind: 'call';
  readonly input: Input;
  readonly output: Output;
}

export interface StreamDefinition<Input extends z.ZodType = z.ZodType, Event extends z.ZodType = z.ZodType> {
  readonly kind: 'stream';
  readonly input: Input;
  readonly event: Event;
}

export type MethodDefinition = CallDefinition | StreamDefinition;
export type GroupDefinition = Readonly<Record<string, MethodDefinition>>;
export type ContractDefinition = Readonly<Record<string, GroupDefinition>>;

/** A method that answers once. */
export function call<Input extends z.ZodType, Output extends z.ZodType>(
  input: Input,
  output: Output,
): CallDefinition<Input, Output> {
  return { kind: 'call', input, output };
}

/** A method that answers with a sequence of events until it ends, fails or is cancelled. */
export function stream<Input extends z.ZodType, Event extends z.ZodType>(
  input: Input,
  event: Event,
): StreamDefinition<Input, Event> {
  return { kind: 'stream', input, event };
}

/** What a handler knows of the request beside its input. */
export interface RequestContext {
  /** Fires when the caller cancels or its connection ends. */
  readonly signal: AbortSignal;
  /** Names the connection: one per window or command. */
  readonly connectionId: string;
}

export type Handler<Method extends MethodDefinition> =
  Method extends CallDefinition<infer Input, infer Output>
    ? (input: z.output<Input>, context: RequestContext) => Promise<z.input<Output>> | z.input<Output>
    : Method extends StreamDefinition<infer Input, infer Event>
      ? (input: z.output<Input>, context: RequestContext) => AsyncIterable<z.input<Event>>
      : never;

export type Handlers<Contract extends ContractDefinition> = {
  readonly [Group in keyof Contract]: {
    readonly [Method in keyof Contract[Group]]: Handler<Contract[Group][Method]>;
  };
};

export interface RequestOptions {
  readonly signal?: AbortSignal;
}

export type ClientMethod<Method extends MethodDefinition> =
  Method extends CallDefinition<infer Input, infer Output>
    ? (input: z.input<Input>, options?: RequestOptions) => Promise<z.output<Output>>
    : Method extends StreamDefinition<infer Input, infer Event>
      ? (input: z.input<Input>, options?: RequestOptions) => AsyncIterable<z.output<Event>>
      : never;

export type Client<Contract extends ContractDefinition> = {
  readonly [Group in keyof Contract]: {
    readonly [Method in keyof Contract[Group]]: ClientMethod<Contract[Group][Method]>;
  };
};
