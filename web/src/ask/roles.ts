// What interfaces are for: rules, and interfaces set by hand.

import { ref } from 'vue'
import { get, put } from './api'

export const roles = ['external', 'customer', 'core', 'internal', 'service'] as const
export type Role = (typeof roles)[number]

export interface Rule {
  name?: string
  description?: string
  exporter?: string
  role: Role
}

export interface RolesConfig {
  rules: Rule[]
  interfaces: { exporter: string; index: number; role: Role }[]
  /** Of what was read: nobody's work is overwritten unseen. */
  revision?: string
}

/** An interface with its role, and what gave it: the rule's number, -1 by hand, 0 nothing. */
export interface InterfaceRole {
  exporter: string
  index: number
  name?: string
  description?: string
  role?: Role
  by: number
}

export const rolesConfig = (signal?: AbortSignal): Promise<RolesConfig> => get<RolesConfig>('/api/interfaces/roles', {}, signal)
export const setRoles = ({ rules, interfaces, revision }: RolesConfig): Promise<unknown> => put('/api/interfaces/roles', { rules, interfaces, revision })

/** giveRoles gives interfaces roles by hand, and leaves everything else as it is. */
export async function giveRoles(list: { exporter: string; index: number; role: Role }[]): Promise<void> {
  const config = await rolesConfig()
  const at = (one: { exporter: string; index: number }) => `${one.exporter} ${one.index}`
  const given = new Set(list.map(at))
  await setRoles({ ...config, interfaces: [...config.interfaces.filter((one) => !given.has(at(one))), ...list.map(({ exporter, index, role }) => ({ exporter, index, role }))] })
  rolesKnown.value = true
}
export const interfaceRoles = (signal?: AbortSignal): Promise<InterfaceRole[]> => get<{ interfaces: InterfaceRole[] }>('/api/interfaces', {}, signal).then((answer) => answer.interfaces)

/** Whether somebody has said what interfaces are for; false until it is known. */
export const rolesKnown = ref(false)

export async function lookForRoles(): Promise<void> {
  if (rolesKnown.value) return
  const config = await rolesConfig().catch(() => null)
  rolesKnown.value = config !== null && config.rules.length + config.interfaces.length > 0
}
