import react from '@vitejs/plugin-react'
import { defineConfig } from 'vitest/config'

const server = process.env.CHAT_SERVER ?? 'http://127.0.0.1:8000'

// The server refuses foreign origins, so the development proxy speaks with the server's own.
const proxied = { target: server, changeOrigin: true, ws: true, headers: { origin: server } }
const paths = [
  '/register',
  '/login',
  '/logout',
  '/conversations',
  '/conversation',
  '/messages',
  '/search-users',
  '/v1',
  '/ws',
]

export default defineConfig({
  plugins: [react()],
  server: { proxy: Object.fromEntries(paths.map((path) => [path, proxied])) },
  build: {
    // A strict Content-Security-Policy allows no data: URLs and no inline preload helper.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    target: 'es2022',
  },
  test: { environment: 'happy-dom', setupFiles: ['src/test/setup.ts'], restoreMocks: true },
})
