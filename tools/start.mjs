// npm start: runs the server in this process, from a bundle of the present sources.
import { pathToFileURL } from 'node:url'
import { serverBundle } from './server-bundle.mjs'

// Stack traces name the sources. This costs 20 ms of processor time at the start.
process.setSourceMapsEnabled(true)
await import(pathToFileURL(serverBundle()).href)
