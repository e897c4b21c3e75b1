// Builds the console into dist/, with compressed files beside the assets. The Node server serves them.
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { brotliCompress, constants, gzip } from 'node:zlib'
import tailwindcss from '@tailwindcss/vite'
import react from '@vitejs/plugin-react'
import { defineConfig, type Plugin, type Rolldown } from 'vite'

/** For the first screen, gzipped. Browsers that take Brotli get less. */
const scriptKilobytesMax = 140

// Test runners set another value, which would bundle React's development build.
process.env.NODE_ENV = 'production'

export default defineConfig({
  root: import.meta.dirname,
  base: '/console/',
  plugins: [react(), tailwindcss(), englishOnly(), prefetched(), compressed()],
  build: {
    target: 'es2023',
    // The CSP forbids data addresses of scripts and fonts.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
    chunkSizeWarningLimit: 1_000,
  },
})

/** The console speaks English, so React Aria's texts in 33 other languages are left out. */
function englishOnly(): Plugin {
  return {
    name: 'english-only',
    load: {
      filter: {
        id: /[\\/]react-aria(-components)?[\\/].*[\\/]intl[\\/].*[\\/](?!en-US)[a-z]{2}-[A-Z]{2}\.mjs$/,
      },
      handler: () => 'export default {}',
    },
  }
}

/** Fetches the other screens when the browser is idle, so that they open at once, and also after the connection is lost. */
function prefetched(): Plugin {
  return {
    name: 'prefetched',
    apply: 'build',
    transformIndexHtml: (_html, { bundle = {} }) => {
      const first = firstScreen(bundle)
      return Object.values(bundle)
        .filter(({ type, fileName }) => type === 'chunk' && !first.has(fileName))
        .map(({ fileName }) => ({
          tag: 'link',
          attrs: { rel: 'prefetch', href: `/console/${fileName}` },
          injectTo: 'head',
        }))
    },
  }
}

// The best quality takes four times as long for 3 % less.
const brotli = { [constants.BROTLI_PARAM_QUALITY]: 10 }

/** Compresses the assets and limits the first screen's script. */
function compressed(): Plugin {
  return {
    name: 'compressed',
    apply: 'build',
    async writeBundle({ dir = '' }, bundle) {
      const gzipped = new Map<string, number>()
      const compress = async (name: string) => {
        const file = join(dir, name)
        const bytes = await readFile(file)
        const small = await promisify(gzip)(bytes, { level: 9 })
        gzipped.set(name, small.length)
        await writeFile(`${file}.gz`, small)
        await writeFile(`${file}.br`, await promisify(brotliCompress)(bytes, { params: brotli }))
      }
      await Promise.all(
        Object.keys(bundle)
          .filter((name) => /\.(js|css|svg)$/.test(name))
          .map(compress),
      )
      const kilobytes =
        [...firstScreen(bundle)].reduce((sum, name) => sum + (gzipped.get(name) ?? 0), 0) / 1024
      const size = `The first screen's script has ${Math.ceil(kilobytes)} KB gzipped; the limit is ${scriptKilobytesMax}.`
      if (kilobytes > scriptKilobytesMax) this.error(size)
      this.info(size)
    },
  }
}

/** @returns the entry and its static imports, which include the list of users */
function firstScreen(bundle: Rolldown.OutputBundle): Set<string> {
  const seen = new Set<string>()
  const visit = (name: string): void => {
    const chunk = bundle[name]
    if (seen.has(name) || chunk?.type !== 'chunk') return
    seen.add(name)
    for (const imported of chunk.imports) visit(imported)
  }
  for (const [name, chunk] of Object.entries(bundle)) if (chunk.type === 'chunk' && chunk.isEntry) visit(name)
  return seen
}
