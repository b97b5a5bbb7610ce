const keptCharacters = 8000;

/** The end of a process's output, for the message that says why it died. */
export class LogTail {
  #text = '';

  get text(): string {
    return this.#text;
  }

  add(chunk: Buffer): void {
    this.#text = (this.#text + chunk.toString()).slice(-keptCharacters);
  }
}
