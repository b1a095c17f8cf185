// How roles of interfaces are called.

import type { Role } from '@/ask/roles'
import { words } from './i18n'

const w = words(
  { external: 'external', customer: 'customer', core: 'core', internal: 'internal', service: 'service', none: 'none' } as const,
  { external: '外部', customer: '顧客', core: 'コア', internal: '内部', service: 'サービス', none: 'なし' },
)

export const roleName = (role: Role | undefined): string => w(role ?? 'none')
