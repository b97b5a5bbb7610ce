const longestWord = 100;
const mostWords = 200;

/** Words that were typed with commas between them, of any script; each once. */
export function wordsOf(text: string): string[] {
  const words = text.split(/[,，、;；\n]/u).map((word) => word.trim().slice(0, longestWord));
  return [...new Set(words.filter((word) => word !== ''))].slice(0, mostWords);
}
