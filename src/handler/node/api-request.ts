// A request of the console as the request of the API that it stands for: with the session's token instead of its cookie.
import { apiRequestHeader } from '../http/console/api-request-header.ts'
import type { HttpRequest } from '../http/endpoint.ts'
import type { HostedRequest } from './host.ts'
import type { NodeRequest } from './request.ts'

export class ApiRequest implements HttpRequest, HostedRequest {
  readonly path: string
  readonly #request: NodeRequest
  readonly #token: string

  constructor(request: NodeRequest, { path, token }: { path: string; token: string }) {
    this.#request = request
    this.#token = token
    this.path = path
  }

  header(name: string): string | undefined {
    return apiRequestHeader(this.#request, this.#token, name)
  }

  body(bytesMax: number): Promise<Buffer<ArrayBuffer> | undefined> {
    return this.#request.body(bytesMax)
  }

  stream(): AsyncGenerator<Uint8Array> {
    return this.#request.stream()
  }

  get bodyOwner(): string {
    return this.#request.bodyOwner
  }

  set bodyOwner(owner: string) {
    this.#request.bodyOwner = owner
  }

  get method(): string {
    return this.#request.method
  }

  get query(): string {
    return this.#request.query
  }

  get source(): string | undefined {
    return this.#request.source
  }

  get httpVersion(): string {
    return this.#request.httpVersion
  }

  get host(): string | undefined {
    return this.#request.host
  }

  get authority(): string | undefined {
    return this.#request.authority
  }
}
