/** The page's only doors: a typed port to main, and a file that becomes a grant. */
import type { GrantAnswer } from '../contract/files.ts';
import { contextBridge, ipcRenderer, webUtils } from 'electron';

contextBridge.exposeInMainWorld('lutra', {
  host: 'electron',
  grantFor: (file: File): Promise<GrantAnswer> => ipcRenderer.invoke('lutra:grant', webUtils.getPathForFile(file)),
});

window.addEventListener('message', ({ source, data }) => {
  if (source === window && data === 'lutra:ready') ipcRenderer.send('lutra:connect');
});
// To this very window, so every target origin is our own.
ipcRenderer.on('lutra:port', ({ ports }) => window.postMessage('lutra:port', '*', [...ports]));
ipcRenderer.on('lutra:go', (_event, place: string) => (window.location.hash = place));
