// The pages and their addresses. Addresses are a promise (docs/console.md). A
// page is loaded when it is first looked at.

import { createRouter, createWebHistory, type RouteRecordRaw } from 'vue-router'
import type { CommonKey } from '@/words/common'

declare module 'vue-router' {
  interface RouteMeta {
    /** What the page is called, and which place of the frame it belongs to. */
    title: CommonKey
    place: Place
    /** Whether the page answers to the filter. */
    filtered?: boolean
    /** Whether the page answers to the time range. */
    timed?: boolean
    /** Whether the page answers to what counts: it adds up what several routers tell. */
    counted?: boolean
    /** Of one router or interface: there everything counts, however much of it others tell too. */
    local?: boolean
  }
}

export const places = ['overview', 'explore', 'reports', 'dashboards', 'flows', 'network', 'settings'] as const
export type Place = (typeof places)[number]

const asks = { filtered: true, timed: true }
const counts = { ...asks, counted: true }

const routes: RouteRecordRaw[] = [
  { path: '/', name: 'overview', component: () => import('@/pages/overview/Overview.vue'), meta: { title: 'overview', place: 'overview', ...counts } },
  { path: '/explore', name: 'explore', component: () => import('@/pages/explore/Explore.vue'), meta: { title: 'explore', place: 'explore', ...counts } },
  { path: '/reports', name: 'reports', component: () => import('@/pages/reports/Reports.vue'), meta: { title: 'reports', place: 'reports', timed: true } },
  { path: '/reports/:name', name: 'report', component: () => import('@/pages/reports/Report.vue'), meta: { title: 'reports', place: 'reports', ...counts } },
  { path: '/dashboards', name: 'dashboards', component: () => import('@/pages/dashboards/Dashboards.vue'), meta: { title: 'dashboards', place: 'dashboards' } },
  { path: '/dashboards/:name', name: 'dashboard', component: () => import('@/pages/dashboards/Dashboard.vue'), meta: { title: 'dashboards', place: 'dashboards', ...counts } },
  { path: '/flows', name: 'flows', component: () => import('@/pages/flows/Flows.vue'), meta: { title: 'flowRecords', place: 'flows', ...asks } },
  { path: '/network', name: 'network', component: () => import('@/pages/network/Network.vue'), meta: { title: 'network', place: 'network', timed: true } },
  { path: '/budget', name: 'budget', component: () => import('@/pages/budget/Budget.vue'), meta: { title: 'budgets', place: 'network' } },
  { path: '/exporters', name: 'exporters', component: () => import('@/pages/exporters/Exporters.vue'), meta: { title: 'exporterList', place: 'network', timed: true } },
  { path: '/exporters/:exporter', name: 'exporter', component: () => import('@/pages/things/Exporter.vue'), meta: { title: 'exporter', place: 'network', ...asks, local: true } },
  { path: '/interfaces', name: 'interfaces', component: () => import('@/pages/interfaces/Interfaces.vue'), meta: { title: 'interfaces', place: 'network', timed: true } },
  { path: '/interfaces/:exporter/:index(\\d+)', name: 'interface', component: () => import('@/pages/things/Interface.vue'), meta: { title: 'interface', place: 'network', ...asks, local: true } },
  { path: '/proof', name: 'proof', component: () => import('@/pages/proof/Proof.vue'), meta: { title: 'proof', place: 'network', timed: true } },
  { path: '/timers', name: 'timers', component: () => import('@/pages/timers/Timers.vue'), meta: { title: 'timers', place: 'network', ...asks } },
  { path: '/addresses/:address', name: 'address', component: () => import('@/pages/things/Address.vue'), meta: { title: 'address', place: 'network', ...counts } },
  { path: '/networks/:number(\\d+)', name: 'ownNetwork', component: () => import('@/pages/things/OwnNetwork.vue'), meta: { title: 'ownNetwork', place: 'network', ...counts } },
  { path: '/ases/:number(\\d+)', name: 'as', component: () => import('@/pages/things/As.vue'), meta: { title: 'as', place: 'network', ...counts } },
  { path: '/countries/:country', name: 'country', component: () => import('@/pages/things/Country.vue'), meta: { title: 'country', place: 'network', ...counts } },
  { path: '/counting', name: 'counting', component: () => import('@/pages/counting/Counting.vue'), meta: { title: 'counting', place: 'network', timed: true } },
  { path: '/drops', name: 'drops', component: () => import('@/pages/drops/Drops.vue'), meta: { title: 'drops', place: 'network', timed: true } },
  { path: '/settings/:section?', name: 'settings', component: () => import('@/pages/settings/Settings.vue'), meta: { title: 'settings', place: 'settings' } },
  { path: '/:rest(.*)*', name: 'nowhere', component: () => import('@/pages/Nowhere.vue'), meta: { title: 'nowhere', place: 'overview' } },
]

export const router = createRouter({ history: createWebHistory(), routes, scrollBehavior: (_to, _from, saved) => saved ?? undefined })
