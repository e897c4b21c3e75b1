// npm start: runs the server in this process, from a bundle of the current sources, with the current console.
// The script of package.json begins with `exec`, or a shell would take npm's signals in the server's place. Windows has
// no such command and runs the rest of the script.
import { pathToFileURL } from 'node:url'
import { buildConsole } from './built-console.mjs'
import { serverBundle } from './server-bundle.mjs'

try {
  // The primary process has built it for its workers.
  if (process.env.WORKER_PLACE === undefined) buildConsole()
} catch (error) {
  // The API works without its console, whose page says how to build it.
  process.stderr.write(`${error instanceof Error ? error.message : error}\n`)
}
// Makes stack traces name the sources, for 20 ms of processor time at the start.
process.setSourceMapsEnabled(true)
await import(pathToFileURL(serverBundle()).href)
