import { createHash } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { brotliCompressSync, gzipSync } from 'node:zlib'
import react from '@vitejs/plugin-react'
import { type Plugin, transformWithOxc } from 'vite'
import { defineConfig } from 'vitest/config'

const server = process.env.CHAT_SERVER ?? 'http://127.0.0.1:8000'

// The server refuses foreign origins, so the development proxy speaks with the server's own.
const proxied = { target: server, changeOrigin: true, ws: true, headers: { origin: server } }
const paths = ['/register', '/login', '/logout', '/v1', '/ws']

// The service worker is one file at a fixed address, which knows what else was built.
const worker: Plugin = {
  name: 'service-worker',
  apply: 'build',
  async writeBundle({ dir = 'dist' }, bundle) {
    const files = Object.keys(bundle)
      .filter((name) => name.startsWith('assets/'))
      .map((name) => `/${name}`)
      .sort()
    const source = readFileSync('src/sw/worker.ts', 'utf8')
    const { code } = await transformWithOxc(source, 'worker.ts', {})
    const build = createHash('sha256').update(files.join()).digest('hex').slice(0, 12)
    const known = `const __FILES__ = ${JSON.stringify([...files, '/favicon.svg'])}, __BUILD__ = '${build}';\n`
    writeFileSync(join(dir, 'sw.js'), known + code)
  },
}

// The server sends the compressed sibling of a file to those who take it.
const siblings: Plugin = {
  name: 'compressed-siblings',
  apply: 'build',
  writeBundle({ dir = 'dist' }, bundle) {
    for (const name of Object.keys(bundle)) {
      const path = join(dir, name)
      const bytes = readFileSync(path)
      writeFileSync(`${path}.br`, brotliCompressSync(bytes))
      writeFileSync(`${path}.gz`, gzipSync(bytes, { level: 9 }))
    }
  },
}

export default defineConfig({
  plugins: [react(), worker, siblings],
  server: { proxy: Object.fromEntries(paths.map((path) => [path, proxied])) },
  build: {
    // A strict Content-Security-Policy allows no data: URLs and no inline preload helper.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    target: 'es2022',
    // One file, which stays as it is while the app changes; left to themselves these become several small ones.
    rolldownOptions: {
      output: {
        codeSplitting: {
          groups: [{ name: 'react', test: /node_modules\/(react|react-dom|scheduler|zustand)\// }],
        },
      },
    },
  },
  test: {
    restoreMocks: true,
    // Only what draws needs a document; the rest is tested several times faster without.
    projects: [
      { extends: true, test: { name: 'logic', include: ['src/**/*.test.ts'], environment: 'node' } },
      {
        extends: true,
        test: {
          name: 'screens',
          include: ['src/**/*.test.tsx'],
          environment: 'happy-dom',
          setupFiles: ['src/test/setup.ts'],
        },
      },
    ],
  },
})
