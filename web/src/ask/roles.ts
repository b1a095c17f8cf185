// What interfaces are for: rules, and interfaces set by hand.

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
export const setRoles = ({ rules, interfaces }: RolesConfig): Promise<unknown> => put('/api/interfaces/roles', { rules, interfaces })
export const interfaceRoles = (signal?: AbortSignal): Promise<InterfaceRole[]> => get<{ interfaces: InterfaceRole[] }>('/api/interfaces', {}, signal).then((answer) => answer.interfaces)
