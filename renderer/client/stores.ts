/** What main last said, for every panel to read. Fed by `app.events`; read again after a reconnect. */
import { create } from 'zustand';
import type { StoreApi, UseBoundStore } from 'zustand';
import type { AppEvent, appInfoSchema } from '../../contract/app.ts';
import type { z } from 'zod';
import type { Conversation } from '../../contract/chat.ts';
import type { EngineStatus } from '../../contract/engine.ts';
import { toErrorData } from '../../contract/errors.ts';
import type { ErrorData } from '../../contract/errors.ts';
import type { Job } from '../../contract/jobs.ts';
import type { Model } from '../../contract/models.ts';
import { defaultSettings } from '../../contract/settings.ts';
import type { Settings } from '../../contract/settings.ts';
import { retryDelayMs } from './link.ts';
import type { Studio } from './studio.ts';

export interface ListState<Item> {
  /** `loading` only until the first answer. */
  readonly status: 'loading' | 'ready' | 'failed';
  readonly items: readonly Item[];
  readonly error: ErrorData | null;
}

type ListStore<Item> = UseBoundStore<StoreApi<ListState<Item>>>;

function createList<Item>(): ListStore<Item> {
  return create<ListState<Item>>(() => ({ status: 'loading', items: [], error: null }));
}

export const useModels: ListStore<Model> = createList<Model>();
export const useJobs: ListStore<Job> = createList<Job>();
/** Newest first. */
export const useConversations: ListStore<Conversation> = createList<Conversation>();
export const useSettings = create<Settings>(() => defaultSettings);
export const useEngine = create<{ status: EngineStatus | null }>(() => ({ status: null }));

export type AppInfo = z.infer<typeof appInfoSchema>;
export const useAppInfo = create<{ info: AppInfo | null }>(() => ({ info: null }));

export interface Notice {
  readonly level: 'info' | 'warning' | 'error';
  readonly error: ErrorData;
}

/** Reads a list; of several reads under way only the latest asked counts. A failure keeps what was there. */
function reader<Item>(store: ListStore<Item>, read: () => Promise<readonly Item[]>): () => Promise<void> {
  let latest = 0;
  return async () => {
    const turn = (latest += 1);
    try {
      const items = await read();
      if (turn === latest) store.setState({ status: 'ready', items, error: null });
    } catch (thrown) {
      const error = toErrorData(thrown);
      if (turn === latest && error.code !== 'disconnected') {
        store.setState(({ status }) => ({ status: status === 'ready' ? 'ready' : 'failed', error }));
      }
    }
  };
}

/** The job that an event tells of, put in its place: newest first. */
export function withJob(jobs: readonly Job[], job: Job): Job[] {
  const isKnown = jobs.some(({ id }) => id === job.id);
  return isKnown ? jobs.map((other) => (other.id === job.id ? job : other)) : [job, ...jobs];
}

export interface Feeds {
  reloadModels(): Promise<void>;
  reloadJobs(): Promise<void>;
  reloadConversations(): Promise<void>;
  /** Saves a part of the settings and shows it at once; it is taken back when saving fails, and the error thrown. */
  updateSettings(patch: Partial<Settings>): Promise<void>;
  close(): void;
}

/** Fills the stores from `studio` and keeps them true. */
export function startFeeds(studio: Studio, onNotice: (notice: Notice) => void): Feeds {
  const { client } = studio;
  const abort = new AbortController();
  const reloadModels = reader(useModels, () => client.models.list({}));
  const reloadJobs = reader(useJobs, () => client.jobs.list({}));
  const reloadConversations = reader(useConversations, () => client.chat.list({}));

  const take = (event: AppEvent): void => {
    switch (event.type) {
      case 'models':
        return void reloadModels();
      case 'conversations':
        return void reloadConversations();
      case 'jobs':
        return void reloadJobs();
      case 'job':
        return useJobs.setState(({ items }) => ({ items: withJob(items, event.job) }));
      case 'settings':
        return useSettings.setState(event.settings, true);
      case 'engine':
        return useEngine.setState({ status: event.status });
      case 'notice':
        return onNotice({ level: event.level, error: event.error });
    }
  };
  const readAll = async (): Promise<void> => {
    void reloadModels();
    void reloadJobs();
    void reloadConversations();
    try {
      const [info, settings, status] = await Promise.all([
        client.app.info({}),
        client.settings.get({}),
        client.engine.status({}),
      ]);
      useAppInfo.setState({ info });
      useSettings.setState(settings, true);
      useEngine.setState({ status });
    } catch (thrown) {
      const error = toErrorData(thrown);
      if (error.code !== 'disconnected') onNotice({ level: 'error', error });
    }
  };
  /** Follows the events of one connection; asks again when the stream fails while the connection stands. */
  const follow = async (epoch: number): Promise<void> => {
    for (let attempt = 0; !abort.signal.aborted && studio.state.getState().epoch === epoch; attempt += 1) {
      void readAll();
      try {
        for await (const event of client.app.events({}, { signal: abort.signal })) {
          attempt = 0;
          take(event);
        }
      } catch (thrown) {
        if (toErrorData(thrown).code === 'disconnected') return;
      }
      await new Promise((resolve) => setTimeout(resolve, retryDelayMs(attempt)));
    }
  };
  let followed = 0;
  const onState = ({ phase, epoch }: { phase: string; epoch: number }): void => {
    if (phase !== 'online' || epoch === followed) return;
    followed = epoch;
    void follow(epoch);
  };
  const unsubscribe = studio.state.subscribe(onState);
  onState(studio.state.getState());

  return {
    reloadModels,
    reloadJobs,
    reloadConversations,
    async updateSettings(patch) {
      const before = useSettings.getState();
      useSettings.setState(patch);
      try {
        useSettings.setState(await client.settings.update({ patch }), true);
      } catch (thrown) {
        useSettings.setState(before, true);
        throw thrown;
      }
    },
    close() {
      abort.abort();
      unsubscribe();
    },
  };
}
