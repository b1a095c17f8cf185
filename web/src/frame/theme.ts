// Paper or night: the system's choice until the reader makes one, which stays.

import { ref, watchEffect } from 'vue'

type Theme = 'paper' | 'night'

const system = matchMedia('(prefers-color-scheme: dark)')
const stored = localStorage.getItem('minamo.theme')
/** Null: the system's choice. */
export const chosen = ref<Theme | null>(stored === 'paper' || stored === 'night' ? stored : null)
const systemIsDark = ref(system.matches)
system.addEventListener('change', (event) => (systemIsDark.value = event.matches))

export const theme = ref<Theme>('paper')

// Before anything that draws with the theme's colours, hence synchronous.
watchEffect(
  () => {
    theme.value = chosen.value ?? (systemIsDark.value ? 'night' : 'paper')
    document.documentElement.dataset.theme = theme.value
  },
  { flush: 'sync' },
)

export function chooseTheme(to: Theme | null): void {
  chosen.value = to
  if (to) localStorage.setItem('minamo.theme', to)
  else localStorage.removeItem('minamo.theme')
}

export const toggleTheme = (): void => chooseTheme(theme.value === 'night' ? 'paper' : 'night')
