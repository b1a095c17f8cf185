import { fileURLToPath } from 'node:url'
import tailwind from '@tailwindcss/vite'
import vue from '@vitejs/plugin-vue'
import { defineConfig } from 'vitest/config'

// `npm run dev` serves the sources and hands the API's requests to a Minamo
// that runs beside it.
export default defineConfig({
  plugins: [vue(), tailwind()],
  resolve: { alias: { '@': fileURLToPath(new URL('./src', import.meta.url)) } },
  server: {
    proxy: { '/api': process.env.MINAMO ?? 'http://127.0.0.1:8080' },
    fs: { allow: ['..'] }, // a test reads the README
  },
  build: {
    target: 'es2022',
    // The policy of the server allows no data: scripts or fonts; files are files.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    rolldownOptions: {
      output: { codeSplitting: { groups: [{ name: 'echarts', test: /echarts|zrender/ }] } },
    },
    chunkSizeWarningLimit: 700,
  },
  test: { environment: 'happy-dom' },
})
