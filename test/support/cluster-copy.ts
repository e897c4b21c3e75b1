// Copies of an initialised cluster, for tests that start a PostgreSQL of their own: `initdb` takes seconds.
import { startEmbeddedPostgres } from '../../src/dev/embedded-postgres.ts'
import { copyFolder } from './copy-folder.ts'
import { builtOnce } from './once.ts'

/** Fills a folder for `startEmbeddedPostgres` with a stopped cluster that has no tables. */
export async function copyCluster(directory: string): Promise<void> {
  const original = await builtOnce('cluster', async (folder) => {
    const postgres = await startEmbeddedPostgres(folder, { durable: false })
    await postgres.stop()
  })
  await copyFolder(original, directory)
}
