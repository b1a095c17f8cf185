import { words } from '@/words/i18n'

export const w = words(
  {
    groupTraffic: 'Traffic',
    groupHosts: 'Addresses and subnets',
    groupShape: 'Packets and flows',
    groupYours: 'Your networks',
    groupWorld: 'ASes and countries',
    groupRouters: 'Routers and interfaces',
    noReport: 'There is no report “{name}”.',
    allReports: 'All reports',
    quiet: 'the small ones',
    quietTitle: 'Leaves out the three greatest and draws the rest as lines on a logarithmic axis, so that quiet ones show.',
    meanSize: 'Mean packet: {mean}. At this mean a full 10 Gbit/s line carries {rate}; of the smallest packets it would be {worst}.',
    packetsPerSecond: 'packets/s',
  } as const,
  {
    groupTraffic: 'トラフィック',
    groupHosts: 'アドレスとサブネット',
    groupShape: 'パケットとフロー',
    groupYours: '自ネットワーク',
    groupWorld: 'AS と国',
    groupRouters: 'ルーターとインターフェース',
    noReport: '「{name}」というレポートはありません。',
    allReports: 'レポート一覧',
    quiet: '小さなものを見る',
    quietTitle: '上位 3 件を除き、残りを対数軸の折れ線で表示します。目立たないプロトコルが見えます。',
    meanSize: '平均パケット長 {mean}。この平均なら 10 Gbit/s の回線は {rate}、最小パケットなら {worst} になります。',
    packetsPerSecond: 'パケット/s',
  },
)
