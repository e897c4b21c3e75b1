/** Yields the items of `source`, and starts the next one while the consumer uses the current one. */
export async function* prefetch<T>(source: AsyncGenerator<T>): AsyncGenerator<T> {
  let next = source.next()
  try {
    for (;;) {
      const result = await next
      if (result.done) return
      next = source.next()
      // A consumer that stops early never awaits this item.
      next.catch(() => {})
      yield result.value
    }
  } finally {
    await source.return(undefined)
  }
}
