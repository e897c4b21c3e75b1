// npm start: runs the server in this process, from a bundle of the current sources, with the current console.
import { pathToFileURL } from 'node:url'
import { buildConsole } from './built-console.mjs'
import { serverBundle } from './server-bundle.mjs'

try {
  buildConsole()
} catch (error) {
  // The API works without its console, whose page says how to build it.
  process.stderr.write(`${error instanceof Error ? error.message : error}\n`)
}
// Makes stack traces name the sources, for 20 ms of processor time at the start.
process.setSourceMapsEnabled(true)
await import(pathToFileURL(serverBundle()).href)
