/** Long enough for the download to have begun. */
const keptMs = 60_000;

/** Hands bytes to the browser, or to Electron's own download, under a name. */
export function saveFile({
  fileName,
  mimeType,
  bytes,
}: {
  fileName: string;
  mimeType: string;
  bytes: Uint8Array;
}): void {
  const url = URL.createObjectURL(new Blob([Uint8Array.from(bytes)], { type: mimeType }));
  const link = document.createElement('a');
  link.href = url;
  link.download = fileName;
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), keptMs);
}
