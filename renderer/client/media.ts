import { electronBridge } from './dial.ts';

/** Where the page finds the bytes of a granted file: for pictures, sounds and videos. */
export function mediaAddress(grantId: string): string {
  const id = encodeURIComponent(grantId);
  return electronBridge() === null ? `/media/${id}` : `media://grant/${id}`;
}
