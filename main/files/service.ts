/** Grants: opaque ids for files that the person dropped, chose or typed. The page never names a path. */
import type Database from 'better-sqlite3';
import { randomUUID } from 'node:crypto';
import { readdir, realpath, stat } from 'node:fs/promises';
import type { Stats } from 'node:fs';
import { homedir } from 'node:os';
import { basename, isAbsolute, join } from 'node:path';
import type { Readable } from 'node:stream';
import { LutraError, toErrorData } from '../../contract/errors.ts';
import type { Grant, PickPurpose } from '../../contract/files.ts';
import type { StudioHandlers } from '../../contract/index.ts';
import type { Host } from '../host.ts';
import { browseFolder } from './browse.ts';
import { receiveFile } from './upload.ts';

export interface FilesServiceOptions {
  readonly db: Database.Database;
  readonly host: Host;
  /** Grants end with the session that made them. */
  readonly sessionId: string;
  /** Where uploaded files are kept. */
  readonly importsFolder: string;
  /** Sample pictures and clips; null: none. */
  readonly samplesFolder?: string | null;
}

export interface ResolvedGrant {
  readonly path: string;
  readonly isFolder: boolean;
  readonly sizeBytes: number;
}

interface GrantRow {
  readonly path: string;
  readonly is_folder: number;
  readonly size_bytes: number;
}

export class FilesService {
  readonly handlers: StudioHandlers['files'];
  readonly #options: FilesServiceOptions;

  constructor(options: FilesServiceOptions) {
    this.#options = options;
    const { db, host, sessionId } = options;
    db.prepare('DELETE FROM grants WHERE session_id <> ?').run(sessionId);
    this.handlers = {
      pick: ({ purpose }) => this.#pick(purpose),
      grantPath: ({ path }) => {
        requireHeadless(host);
        return this.grant(expandHome(path.trim()));
      },
      browse: ({ path }) => {
        requireHeadless(host);
        return browseFolder(path === null || path.trim() === '' ? homedir() : expandHome(path.trim()));
      },
      samples: async () => ({ grants: await this.#samples() }),
      revoke: ({ grantId }) => {
        db.prepare('DELETE FROM grants WHERE id = ?').run(grantId);
        return {};
      },
    };
  }

  /** Grants a file or folder. `path` must be absolute; links are followed once, here. */
  async grant(path: string): Promise<Grant> {
    if (!isAbsolute(path) || path.includes('\0')) {
      throw new LutraError({
        code: 'bad-input',
        message: `"${shown(path)}" is no whole path.`,
        hint: 'Give the path from the root of the disk, or beginning with ~.',
        subject: 'path',
      });
    }
    const { real, stats } = await lookAt(path);
    const id = randomUUID();
    this.#options.db
      .prepare(
        `INSERT INTO grants (id, path, is_folder, size_bytes, modified_at, session_id, created_at)
         VALUES (?, ?, ?, ?, ?, ?, ?)`,
      )
      .run(
        id,
        real,
        stats.isDirectory() ? 1 : 0,
        stats.isDirectory() ? 0 : stats.size,
        Math.round(stats.mtimeMs),
        this.#options.sessionId,
        Date.now(),
      );
    return { id, name: basename(path), isFolder: stats.isDirectory(), sizeBytes: stats.isDirectory() ? 0 : stats.size };
  }

  /** Fails with `not-found` for an id that this session did not hand out. */
  resolve(grantId: string): ResolvedGrant {
    const row = this.#options.db
      .prepare<[string, string], GrantRow>(
        'SELECT path, is_folder, size_bytes FROM grants WHERE id = ? AND session_id = ?',
      )
      .get(grantId, this.#options.sessionId);
    if (row === undefined) {
      throw new LutraError({
        code: 'not-found',
        message: 'That file was not granted, or the grant has ended.',
        hint: 'Drop or choose the file again.',
      });
    }
    return { path: row.path, isFolder: row.is_folder === 1, sizeBytes: row.size_bytes };
  }

  /** Takes a dropped file in one stream and grants it. `expectedBytes` is what the sender announced. */
  async receiveUpload(
    name: string,
    stream: Readable,
    expectedBytes: number | null,
    signal: AbortSignal,
  ): Promise<Grant> {
    return this.grant(await receiveFile(this.#options.importsFolder, name, stream, expectedBytes, signal));
  }

  async #samples(): Promise<Grant[]> {
    const folder = this.#options.samplesFolder ?? null;
    if (folder === null) return [];
    const names = await readdir(folder).catch(() => []);
    const media = names.filter((name) => /\.(png|jpe?g|webp|gif|mp4|webm)$/i.test(name)).toSorted();
    return Promise.all(media.map((name) => this.grant(join(folder, name))));
  }

  async #pick(purpose: PickPurpose): Promise<{ grants: Grant[] } | null> {
    const { pickFiles } = this.#options.host;
    if (pickFiles === null) {
      throw new LutraError({
        code: 'not-supported',
        message: 'This host has no file dialog.',
        hint: 'Type the path, browse to it, or drop the file on the window.',
      });
    }
    const paths = await pickFiles(purpose);
    return paths === null ? null : { grants: await Promise.all(paths.map((path) => this.grant(path))) };
  }
}

function requireHeadless(host: Host): void {
  if (host.kind === 'headless') return;
  throw new LutraError({
    code: 'not-supported',
    message: 'The desktop studio opens the system’s file dialog instead.',
    hint: 'Use “Choose a file” or drop the file on the window.',
  });
}

function expandHome(path: string): string {
  return path === '~' || path.startsWith('~/') || path.startsWith('~\\') ? join(homedir(), path.slice(1)) : path;
}

/** A path for a message: long ones are cut in the middle. */
function shown(path: string): string {
  return path.length <= 200 ? path : `${path.slice(0, 100)}…${path.slice(-90)}`;
}

async function lookAt(path: string): Promise<{ real: string; stats: Stats }> {
  try {
    const real = await realpath(path);
    const stats = await stat(real);
    if (stats.isFile() || stats.isDirectory()) return { real, stats };
  } catch (thrown) {
    const { hint = 'Check that it is there and may be read.' } = toErrorData(thrown);
    throw new LutraError(
      { code: 'file-access', message: `"${shown(path)}" cannot be opened.`, hint, subject: shown(path) },
      { cause: thrown },
    );
  }
  throw new LutraError({
    code: 'file-access',
    message: `"${shown(path)}" is neither a file nor a folder.`,
    subject: shown(path),
  });
}
