/** Everything that the page and main say to each other. */
import { appContract } from './app.ts';
import { audioContract } from './audio.ts';
import { captionContract } from './caption.ts';
import { chatContract } from './chat.ts';
import { engineContract } from './engine.ts';
import { filesContract } from './files.ts';
import { jobsContract } from './jobs.ts';
import { modelsContract } from './models.ts';
import type { Client, Handlers } from './rpc/define.ts';
import { settingsContract } from './settings.ts';

export const contract = {
  app: appContract,
  audio: audioContract,
  caption: captionContract,
  chat: chatContract,
  engine: engineContract,
  files: filesContract,
  jobs: jobsContract,
  models: modelsContract,
  settings: settingsContract,
} as const;

export type StudioContract = typeof contract;
export type StudioHandlers = Handlers<StudioContract>;
export type StudioClient = Client<StudioContract>;
