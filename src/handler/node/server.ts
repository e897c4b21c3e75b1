// The entry of the Node server: serves in this process, or starts the workers that do.
import { resolve } from 'node:path'
import { readSettings } from '../../platform/settings.ts'
import { readTraceSettings } from '../../platform/trace-settings.ts'
import { workerPlace } from '../../platform/worker-place.ts'

async function main(): Promise<void> {
  const settings = readSettings(process.env, resolve('.data'))
  const traces = readTraceSettings(process.env)
  // Loaded when needed, because the primary process needs none of the service.
  if (settings.workers > 1 && !workerPlace) await (await import('./workers.ts')).runWorkers(settings)
  else await (await import('./serve.ts')).serve(settings, traces)
}

function fail(error: unknown): never {
  const { code, message, port } = error as NodeJS.ErrnoException & { port?: number }
  const { PORT = '3000', METRICS_PORT } = process.env
  const [name, used] = String(port) === METRICS_PORT ? ['METRICS_PORT', METRICS_PORT] : ['PORT', PORT]
  process.stderr.write(
    code === 'EADDRINUSE'
      ? `Port ${used} is in use by another program. Set ${name} to a free one: ${name}=${Number(used) + 1} npm start\n`
      : `${message}\n`,
  )
  process.exit(1)
}

await main().catch(fail)
