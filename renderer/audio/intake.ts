/** A dropped sound: decoded here, in the sandbox, by the browser's own decoders; it becomes a take to start from. */
import { LutraError } from '../../contract/errors.ts';
import { grantFile } from '../client/grants.ts';
import type { StudioClient } from '../client/studio.ts';
import { i18n } from '../i18n/i18n.ts';
import { showToast } from '../ui/toast.tsx';
import { updateDraft, useAudio } from './store.ts';

const endings = /\.(wav|flac|mp3|m4a|aac|ogg|opus|oga|aif|aiff|weba)$/i;
const largestBytes = 500_000_000;
const longestSeconds = 300;
const sampleRate = 44_100;
const longestName = 100;

export function isSound(file: File): boolean {
  return file.type.startsWith('audio/') || endings.test(file.name);
}

/** Restores the settings where the file carries some. Fails with `bad-file` that names the file. */
export async function takeSound(client: StudioClient, file: File): Promise<void> {
  const bad = (message: string, hint: string): LutraError =>
    new LutraError({ code: 'bad-file', message: `“${file.name}”: ${message}`, hint, subject: file.name });
  if (file.size > largestBytes) throw bad(i18n.t('audio.tooLarge'), i18n.t('audio.cutItFirst'));
  const decoder = new OfflineAudioContext(2, 1, sampleRate);
  const decoded = await decoder.decodeAudioData(await file.arrayBuffer()).catch(() => null);
  if (decoded === null || decoded.length === 0) throw bad(i18n.t('audio.noSound'), i18n.t('audio.saveAsWav'));
  if (decoded.duration > longestSeconds) throw bad(i18n.t('audio.tooLong'), i18n.t('audio.cutItFirst'));
  const all = new Float32Array(decoded.length * decoded.numberOfChannels);
  for (let channel = 0; channel < decoded.numberOfChannels; channel += 1)
    all.set(decoded.getChannelData(channel), channel * decoded.length);
  const name = file.name.replace(endings, '').slice(0, longestName).trim() || 'sound';
  const take = await client.audio.importSound({
    name,
    sampleRate: decoded.sampleRate,
    channels: decoded.numberOfChannels,
    bytes: new Uint8Array(all.buffer),
  });
  useAudio.setState({ selectedId: take.id, source: { takeId: take.id, name, region: null } });
  const { settings } = await client.audio.settingsOf({ grantId: (await grantFile(file)).id });
  if (settings !== null) updateDraft(settings);
  showToast({ title: i18n.t(settings === null ? 'audio.dropped' : 'audio.restored', { name }) });
}
