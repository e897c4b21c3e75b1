// A minimal Lambda runtime: fetches an event, calls the handler and posts the result.
// https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html
// node lambda-runtime.mjs /folder/of/the/package/api.js
import { once } from 'node:events'
import { Agent, request } from 'node:http'
import { text } from 'node:stream/consumers'
import { pathToFileURL } from 'node:url'

const api = `http://${process.env.AWS_LAMBDA_RUNTIME_API}/2018-06-01/runtime`
// `fetch` would cost more processor time than most of the handlers.
const agent = new Agent({ keepAlive: true })

/** @type {(method: string, path: string, body?: string) => Promise<{ headers: import('node:http').IncomingHttpHeaders, content: string }>} */
const send = async (method, path, body) => {
  const sent = request(`${api}/${path}`, { method, agent })
  sent.end(body)
  const [response] = await once(sent, 'response')
  return { headers: response.headers, content: await text(response) }
}
/** @type {(path: string, value: unknown) => Promise<unknown>} */
const post = (path, value) => send('POST', path, JSON.stringify(value))
/** @param {unknown} error */
const describe = (error) => ({
  errorType: error instanceof Error ? error.name : 'Error',
  errorMessage: error instanceof Error ? error.message : String(error),
})

/** @param {import('node:http').IncomingHttpHeaders} headers */
const contextOf = (headers) => ({
  awsRequestId: headers['lambda-runtime-aws-request-id'],
  getRemainingTimeInMillis: () => Number(headers['lambda-runtime-deadline-ms']) - Date.now(),
})

let handler
try {
  handler = (await import(pathToFileURL(process.argv[2] ?? '').href)).handler
} catch (error) {
  await post('init/error', describe(error))
  process.exit(1)
}
for (;;) {
  const { headers, content } = await send('GET', 'invocation/next')
  const id = headers['lambda-runtime-aws-request-id']
  try {
    await post(`invocation/${id}/response`, (await handler(JSON.parse(content), contextOf(headers))) ?? null)
  } catch (error) {
    await post(`invocation/${id}/error`, describe(error))
  }
}
