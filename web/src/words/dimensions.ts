// What dimensions and metrics are called, in the field's words. What has no
// entry here is called as the API calls it.

import type { Language } from './i18n'

type Words = Record<string, Record<Language, string>>

const pair = (en: string, ja: string) => ({ en, ja })

/** both makes the words of a thing that flows have at either side. */
const both = (name: string, en: string, ja: string): Words => ({
  [name]: pair(en[0]!.toUpperCase() + en.slice(1), ja),
  [`src_${name}`]: pair(`Source ${en}`, `送信元${ja}`),
  [`dst_${name}`]: pair(`Destination ${en}`, `宛先${ja}`),
})

export const dimensionWords: Words = {
  ...both('addr', 'address', 'アドレス'),
  ...both('port', 'port', 'ポート'),
  ...both('as', 'AS', ' AS'),
  ...both('country', 'country', '国'),
  ...both('network', 'network', 'ネットワーク'),
  ...both('customer', 'customer', '顧客'),
  ...both('site', 'site', 'サイト'),
  ...both('route', 'route', '経路'),
  ...both('mac', 'MAC address', ' MAC アドレス'),
  ...both('vlan', 'VLAN', ' VLAN'),
  ...both('mask', 'prefix length', 'プレフィックス長'),
  ip: pair('Address, either side', 'アドレス(両側)'),
  if: pair('Interface, either side', 'インターフェース(両側)'),
  protocol: pair('Protocol', 'プロトコル'),
  app: pair('Application', 'アプリケーション'),
  exporter: pair('Exporter', 'エクスポーター'),
  in_if: pair('Input interface', '入力インターフェース'),
  out_if: pair('Output interface', '出力インターフェース'),
  in_role: pair('Input role', '入力側の役割'),
  out_role: pair('Output role', '出力側の役割'),
  direction: pair('Direction', '方向'),
  forwarding_status: pair('Forwarding', '転送状態'),
  sampling_rate: pair('Sampling rate', 'サンプリングレート'),
  sampling_source: pair('Source of the sampling rate', 'サンプリングレートの出どころ'),
  export_protocol: pair('Export protocol', 'エクスポートプロトコル'),
  tcp_flags: pair('TCP flags', 'TCP フラグ'),
  icmp_type: pair('ICMP type', 'ICMP タイプ'),
  icmp_code: pair('ICMP code', 'ICMP コード'),
  packet_size: pair('Packet size', 'パケットサイズ'),
  duration: pair('Duration', '継続時間'),
  ip_version: pair('IP version', 'IP バージョン'),
  dscp: pair('DSCP', 'DSCP'),
  tos: pair('ToS', 'ToS'),
  ttl: pair('TTL', 'TTL'),
  next_hop: pair('Next hop', 'ネクストホップ'),
  bgp_next_hop: pair('BGP next hop', 'BGP ネクストホップ'),
  prev_as: pair('Neighbour AS, in', '隣接 AS(入)'),
  next_as: pair('Neighbour AS, out', '隣接 AS(出)'),
  as_path: pair('AS path', 'AS パス'),
  drop_reason: pair('Drop reason', '破棄理由'),
  flow_end_reason: pair('Why the flow ended', 'フロー終了理由'),
}

export const metricWords: Words = {
  bps: pair('bit/s', 'bit/s'),
  l2bps: pair('bit/s on Ethernet', 'bit/s(Ethernet)'),
  pps: pair('packets/s', 'パケット/s'),
  fps: pair('flows/s', 'フロー/s'),
  bytes: pair('Bytes', 'バイト'),
  packets: pair('Packets', 'パケット'),
  flows: pair('Flows', 'フロー'),
  packet_size: pair('Mean packet size', '平均パケットサイズ'),
  src_addresses: pair('Source addresses', '送信元アドレス数'),
  dst_addresses: pair('Destination addresses', '宛先アドレス数'),
  p95: pair('95th percentile', '95 パーセンタイル'),
  peak: pair('Peak', 'ピーク'),
}
