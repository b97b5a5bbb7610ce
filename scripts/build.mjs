/** `npm run build`: the native engine and the app. */
import { ensureApp, ensureDependencies, ensureNative, explained, requireNode } from './lib/setup.mjs';

process.exitCode = await explained(async () => {
  requireNode();
  await ensureDependencies();
  await ensureNative();
  await ensureApp();
  console.log('Built into out/ and build/native/.');
});
