// Apart from the provider, so that those who catch it need not load the provider's library.
export class RejectedSignIn extends Error {
  /** The person cancelled, or the provider denies access. */
  readonly isDenied: boolean

  constructor(cause: unknown, { isDenied }: { isDenied: boolean }) {
    super('the sign-in was rejected', { cause })
    this.isDenied = isDenied
  }
}
