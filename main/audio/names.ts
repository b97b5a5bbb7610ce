/** Names of exported files. */
import { audioNameParts } from '../../contract/audio.ts';
import type { AudioTake } from '../../contract/audio.ts';

const forbidden = /[\\/:*?"<>|\p{Cc}]/gu;
const longestName = 120;

/** `template` with its parts filled in, without an ending; fit for every file system. */
export function fileNameOf(take: AudioTake, template: string): string {
  const parts: Record<(typeof audioNameParts)[number], string> = {
    name: take.name,
    prompt: take.prompt,
    model: take.modelName,
    seed: String(take.seed),
    seconds: take.seconds.toFixed(1),
    date: new Date(take.createdAt).toISOString().slice(0, 10),
  };
  const filled = template.replaceAll(/\{(\w+)\}/gu, (whole, key: string) =>
    key in parts ? parts[key as keyof typeof parts] : whole,
  );
  const clean = filled.replaceAll(forbidden, ' ').replaceAll(/\s+/gu, ' ').trim();
  // By letters: a cut in the middle of one would be no letter at all.
  const name = [...clean].slice(0, longestName).join('').trim();
  return name === '' || name.startsWith('.') ? `take ${name}`.trim() : name;
}
