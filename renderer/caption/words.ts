const longestWord = 100;
const mostWords = 200;

/** Words that were typed with commas between them, of any script; each once. */
export function wordsOf(text: string): string[] {
  const words = text.split(/[,，、;；\n]/u).map((word) => word.trim().slice(0, longestWord));
  return [...new Set(words.filter((word) => word !== ''))].slice(0, mostWords);
}

const wordsAround = 48;

/** What `after` has instead of what `before` had, and some of what is the same on both sides. */
export function changeOf(
  before: string,
  after: string,
): { head: string; removed: string; added: string; tail: string } {
  const [was, is] = [[...before], [...after]];
  const shorter = Math.min(was.length, is.length);
  let same = 0;
  while (same < shorter && was[same] === is[same]) same += 1;
  let end = 0;
  while (end < shorter - same && was[was.length - 1 - end] === is[is.length - 1 - end]) end += 1;
  const head = was.slice(0, same);
  const tail = was.slice(was.length - end);
  return {
    head: head.length > wordsAround ? `…${head.slice(-wordsAround).join('')}` : head.join(''),
    removed: was.slice(same, was.length - end).join(''),
    added: is.slice(same, is.length - end).join(''),
    tail: tail.length > wordsAround ? `${tail.slice(0, wordsAround).join('')}…` : tail.join(''),
  };
}
