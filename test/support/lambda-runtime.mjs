// A minimal Lambda runtime: fetches an event, calls the handler and posts the result.
// https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html
// node lambda-runtime.mjs /folder/of/the/package/api.js
import { pathToFileURL } from 'node:url'

const api = `http://${process.env.AWS_LAMBDA_RUNTIME_API}/2018-06-01/runtime`
/** @type {(path: string, value: unknown) => Promise<Response>} */
const post = (path, value) => fetch(`${api}/${path}`, { method: 'POST', body: JSON.stringify(value) })
/** @param {unknown} error */
const describe = (error) => ({
  errorType: error instanceof Error ? error.name : 'Error',
  errorMessage: error instanceof Error ? error.message : String(error),
})

/** @param {Headers} headers */
const contextOf = (headers) => ({
  awsRequestId: headers.get('lambda-runtime-aws-request-id'),
  getRemainingTimeInMillis: () => Number(headers.get('lambda-runtime-deadline-ms')) - Date.now(),
})

let handler
try {
  handler = (await import(pathToFileURL(process.argv[2] ?? '').href)).handler
} catch (error) {
  await post('init/error', describe(error))
  process.exit(1)
}
for (;;) {
  const next = await fetch(`${api}/invocation/next`)
  const id = next.headers.get('lambda-runtime-aws-request-id')
  const event = await next.json()
  try {
    await post(`invocation/${id}/response`, (await handler(event, contextOf(next.headers))) ?? null)
  } catch (error) {
    await post(`invocation/${id}/error`, describe(error))
  }
}
