// What an endpoint of the protected API is: one description that routing, access, validation and the
// OpenAPI document are made from. And what a request and a reply are to it, however they travel.

import type * as z from 'zod/mini'
import type { WriteContext } from '../../services/context.ts'
import type { Action, Caller } from '../../services/identity/access.ts'
import type { Precondition } from '../../services/users/precondition.ts'
import type { UserReader } from '../../services/users/read.ts'

export type Schema<T = unknown> = z.ZodMiniType<T>

/** Loaded for the first request that needs it: to make the schemas takes longer than the rest of a function's start. */
export type LazySchema<T = unknown> = () => Promise<Schema<T>>

/** The parts of a request that the service looks at. Each entry has its own way to them. */
export type HttpRequest = {
  method: string
  /** As it was sent: nothing is decoded, no dots are followed. */
  path: string
  /** Without the question mark; empty when there is none. */
  query: string
  /** The address that the request has come from, where the entry knows it. */
  source?: string | undefined
  /** Whose share of the memory for bodies it counts in, where the entry bounds that: the address until the caller is known. */
  holder?: string
  /** @param name in lower case. Values of a header that is given more than once are joined by commas. */
  header(name: string): string | undefined
  /**
   * The body's bytes, to be read once.
   * @returns undefined as soon as it is known that there are more than `bytesMax`
   * @throws ServiceError `invalid` when it breaks off
   */
  body(bytesMax: number): Promise<Uint8Array<ArrayBuffer> | undefined>
}

/** What the request's log line says besides what is known of every request. */
export type RequestLog = {
  route: string
  /** The role. */
  caller: string | undefined
  cache: 'hit' | 'miss' | 'bypass' | undefined
}

/** What a handler is given: everything checked, nothing raw but the request itself. */
export type Call<Query, Body> = {
  ctx: WriteContext
  reader: UserReader
  caller: Caller
  request: HttpRequest
  /** The path's id, in lower case; empty where the path has none. */
  id: string
  query: Query
  body: Body
  /** Of an endpoint without an id it has been checked already. */
  precondition: Precondition | undefined
  log: RequestLog
}

export type Answer = {
  status: number
  description: string
  /** Absent: no content. */
  schema?: LazySchema
  headers?: ('ETag' | 'Location' | 'Link' | 'X-Cache')[]
}

export type Endpoint<Query = unknown, Body = unknown> = {
  method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
  /** As OpenAPI writes it. */
  path: string
  operationId: string
  summary: string
  description?: string
  action: Action
  query?: LazySchema<Query>
  /** A JSON body: its schema, and the media types under which it is taken. */
  body?: { schema: LazySchema<Body>; mediaTypes: string[]; bytesMax: number }
  /** Bodies that the handler reads for itself, by media type. */
  ownBody?: Record<string, LazySchema | 'binary'>
  answers: Answer[]
  /** Statuses besides those that every endpoint may answer. */
  problems: number[]
  handle(call: Call<Query, Body>): Promise<Reply>
}

/** What is answered. The app adds what all answers have. */
export type Reply = {
  /** 200 when absent. */
  status?: number
  headers?: Record<string, string>
  body?: string | Uint8Array
}

/** A route outside the protected API: no token is asked for. */
export type OpenRoute = {
  method: 'GET' | 'POST'
  path: string
  /**
   * @param parameters the path's, in their order, decoded
   * @throws ServiceError
   */
  handle(request: HttpRequest, parameters: string[]): Promise<Reply>
}

/** Keeps the types of an endpoint's query and body together, then forgets them so that all fit one list. */
export function endpoint<Query = undefined, Body = undefined>(definition: Endpoint<Query, Body>): Endpoint {
  return definition as unknown as Endpoint
}

/** Users' data is for its reader alone, and is asked for again each time; its ETag makes that cheap. */
export const jsonHeaders = { 'Content-Type': 'application/json', 'Cache-Control': 'private, no-cache' }
