/** Those who want to be told when something has changed. */
export class Listeners<T> {
  readonly #listeners = new Set<(news: T) => void>()

  /** @returns a function that ends this */
  add(listener: (news: T) => void): () => void {
    this.#listeners.add(listener)
    return () => {
      this.#listeners.delete(listener)
    }
  }

  notify(news: T): void {
    for (const listener of this.#listeners) listener(news)
  }
}
