// The types of an endpoint of the protected API, and of the request and reply it works with.
// Routing, authorization, validation and the OpenAPI document all read the endpoint's description.

import type * as z from 'zod/mini'
import type { ErrorCode } from '../../model/errors.ts'
import type { WriteContext } from '../../services/context.ts'
import type { Action, Caller } from '../../services/identity/access.ts'
import type { Precondition } from '../../services/users/precondition.ts'
import type { UserReader } from '../../services/users/read.ts'

export type Schema<T = unknown> = z.ZodMiniType<T>

/** Loaded by the first request that needs it: creating the schemas takes longer than the rest of a function's start. */
export type LazySchema<T = unknown> = () => Promise<Schema<T>>

/** The parts of a request that the service reads; each entry implements them. */
export type HttpRequest = {
  method: string
  /** As sent: neither decoded nor normalised. */
  path: string
  /** Without the question mark; empty if there is none. */
  query: string
  /** The client's IP address, if the entry knows it. */
  source?: string | undefined
  /** The caller whose memory quota the body counts against; the client's address until the caller is known. */
  bodyOwner?: string
  /** @param name in lower case. The values of a repeated header are joined by commas. */
  header(name: string): string | undefined
  /**
   * Reads the body; call it once.
   * @returns undefined as soon as the body is known to exceed `bytesMax`
   * @throws ServiceError `invalid` if the body ends early
   */
  body(bytesMax: number): Promise<Uint8Array<ArrayBuffer> | undefined>
  /**
   * Reads a large body as it arrives, instead of `body`.
   * The iterable throws ServiceError `invalid` if the body ends early, `timed_out`, `overloaded`.
   */
  stream(): AsyncIterable<Uint8Array>
}

/** The fields of a request's log line that only the endpoint knows. */
export type RequestLog = {
  route: string
  /** The caller's role. */
  caller: string | undefined
  cache: 'hit' | 'miss' | 'bypass' | undefined
}

/** The validated input of an endpoint's handler. */
export type Call<Query, Body> = {
  ctx: WriteContext
  reader: UserReader
  caller: Caller
  request: HttpRequest
  /** The path's id in lower case; empty if the path has none. */
  id: string
  query: Query
  body: Body
  /** Already checked unless the endpoint is versioned. */
  precondition: Precondition | undefined
  log: RequestLog
}

/** A successful answer, as the OpenAPI document describes it. */
export type Answer = {
  status: number
  description: string
  /** Absent for an answer without content, or with a file. */
  schema?: LazySchema
  fileTypes?: string[]
  headers?: ('Age' | 'ETag' | 'Link' | 'X-Cache' | 'Content-Disposition')[]
  /** The description of the Location header. */
  location?: string
}

/** An OpenAPI tag, which groups endpoints. */
export type Tag = { name: string; description: string }

export type Endpoint<Query = unknown, Body = unknown> = {
  method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
  /** An OpenAPI path template. */
  path: string
  operationId: string
  summary: string
  description?: string
  tag: Tag
  action: Action
  /** Whether the path's user has a version, with which the handler compares `precondition`. */
  isVersioned?: boolean
  /** Whether the handler reads `max-stale` of the request's Cache-Control. */
  mayBeStale?: boolean
  query?: LazySchema<Query>
  /** A JSON body, which the app parses and validates. The docs page sends the example. */
  body?: { schema: LazySchema<Body>; mediaTypes: string[]; bytesMax: number; example: object }
  /** Bodies that the handler reads itself, by media type. A form has one field, `file`. */
  unparsedBody?: Record<string, LazySchema | 'binary' | 'form'>
  /** The values of Content-Encoding that the handler accepts besides `identity`. */
  contentEncodings?: string[]
  answers: Answer[]
  /** The problems besides those of every endpoint. */
  problems: ErrorCode[]
  handle(call: Call<Query, Body>): Promise<Reply>
}

export type Reply = {
  /** 200 if absent. */
  status?: number
  headers?: Record<string, string>
  /** Each a value of Set-Cookie. HTTP APIs of API Gateway do not get them. */
  cookies?: string[]
  body?: string | Uint8Array
  /** Sent instead of `body`, as it is read. */
  file?: { bytes: number; read(): AsyncIterable<Uint8Array> }
}

/** A route outside the protected API, which needs no token. */
export type PublicRoute = {
  method: 'GET' | 'POST'
  path: string
  /**
   * @param parameters those of the path in order, decoded
   * @throws ServiceError
   */
  handle(request: HttpRequest, parameters: string[]): Promise<Reply>
}

/** Checks that the types of query and body match their schemas, then erases them so that endpoints fit one list. */
export function endpoint<Query = undefined, Body = undefined>(definition: Endpoint<Query, Body>): Endpoint {
  return definition as unknown as Endpoint
}

/** Shared caches must not store users. Clients may, and revalidate by ETag. */
export const jsonHeaders = { 'Content-Type': 'application/json', 'Cache-Control': 'private, no-cache' }
