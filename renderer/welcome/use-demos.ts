/** The three first things to do, each with a demo model, and why one cannot be done. */
import { useEffect, useState } from 'react';
import { audioSettingsSchema } from '../../contract/audio.ts';
import { captionSettingsSchema } from '../../contract/caption-settings.ts';
import type { Grant } from '../../contract/files.ts';
import type { Capability, Model } from '../../contract/models.ts';
import { useCaptions } from '../caption/store.ts';
import { useStudio } from '../client/context.tsx';
import { useNavigation } from '../client/navigation.ts';
import { useModels } from '../client/stores.ts';

/** The demo model for `capability`; null where there is none that works. */
export function useDemo(capability: Capability): Model | null {
  const models = useModels(({ items }) => items);
  const fits = (model: Model): boolean =>
    model.isDemo && model.status === 'ready' && model.capabilities.includes(capability);
  return models.find(fits) ?? null;
}

/** The sample pictures and clips; null until they are known. */
export function useSamples(): readonly Grant[] | null {
  const { client } = useStudio();
  const [samples, setSamples] = useState<readonly Grant[] | null>(null);
  useEffect(() => {
    const abort = new AbortController();
    client.files.samples({}, { signal: abort.signal }).then(
      ({ grants }) => setSamples(grants),
      () => setSamples([]),
    );
    return () => abort.abort();
  }, [client]);
  return samples;
}

/** Asks `question` in a new chat and leads there. */
export function useAskGuide(): (model: Model, question: string) => Promise<void> {
  const { client } = useStudio();
  const go = useNavigation((place) => place.go);
  return async (model, question) => {
    const { id: conversationId } = await client.chat.create({ modelId: model.id });
    await client.chat.send({ conversationId, text: question });
    go({ panel: 'chat', conversationId });
  };
}

/** Puts the samples into the list of captions, starts on them, and leads there. */
export function useCaptionSamples(): (model: Model, samples: readonly Grant[]) => Promise<void> {
  const { client } = useStudio();
  const go = useNavigation((place) => place.go);
  return async (model, samples) => {
    await client.caption.add({
      grants: samples.map(({ id }) => ({ grantId: id, folder: '' })),
      recursive: false,
      sidecars: 'ignore',
    });
    const names = new Set(samples.map(({ name }) => name));
    const { items } = await client.caption.list({ filter: { state: 'all', search: '' }, offset: 0, limit: 500 });
    const itemIds = items.filter(({ name, folder }) => folder === '' && names.has(name)).map(({ id }) => id);
    go({ panel: 'caption' });
    const settings = captionSettingsSchema.parse({});
    useCaptions.setState({ isFollowing: true });
    await client.caption.start({ modelId: model.id, settings, itemIds, which: 'missing', previewFirst: 0 });
  };
}

/** Seconds of the first sound: short enough to be there soon. */
const firstSeconds = 4;

/** Makes a sound and leads to where it appears. */
export function useMakeSound(): (model: Model, prompt: string) => Promise<void> {
  const { client } = useStudio();
  const go = useNavigation((place) => place.go);
  return async (model, prompt) => {
    const { longestSeconds } = await client.audio.describe({ modelId: model.id });
    const settings = audioSettingsSchema.parse({
      prompt,
      seconds: Math.min(firstSeconds, longestSeconds),
    });
    await client.audio.generate({ modelId: model.id, settings, source: null });
    go({ panel: 'audio' });
  };
}
