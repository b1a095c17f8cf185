// Every string of the console, in both languages, in the field's words. A key
// missing in one of them does not compile; a place holder missing fails a test.

import { ref, watchEffect } from 'vue'

const en = {
  overview: 'Overview',
  where: 'Where you are',

  last: 'last {span}',
  minutes: '{n} min',
  hours: '{n} h',
  days: '{n} d',
  seconds: '{n} s',
  timeRange: 'Time range',
  from: 'From',
  to: 'To',
  apply: 'Apply',
  timeZone: 'Times in {zone}',
  rangeOrder: 'The end must be after the beginning.',

  refresh: 'Refresh',
  refreshNow: 'Refresh now',
  every: 'every {n} s',
  off: 'off',

  live: 'live',
  paused: 'paused',
  fixed: 'fixed range',
  unreachable: 'unreachable',
  lastAnswer: 'Last answer from the server: {time}',
  never: 'none yet',

  theme: 'Theme',
  toPaper: 'Paper theme',
  toNight: 'Night theme',
  language: 'Language',
  help: 'Keys and help',

  filter: 'Filter',
  filterHint: 'src net 10.0.0.0/8 and dst port in [53 443] and proto udp',
  filterHelp: 'Filter, like nfdump and tcpdump. Enter applies, Escape clears.',
  clear: 'Clear',
  enterApplies: 'Enter applies',

  nowBits: 'now',
  exporters: 'exporters',
  exporter: 'exporter',
  nowTitle: 'Received in the last {n} s, by all exporters, scaled by sampling rate.',
  inRange: 'in {range}',
  inRangeFiltered: 'in {range}, filtered',
  totalsTitle: 'Every flow that touches the range, counted whole. The chart and its table count what falls inside the range.',
  volume: 'traffic volume',
  flows: 'flows',
  packets: 'packets',

  problems: 'Needs a look: {list}',
  problemsTitle: 'Counted since the server started',

  trafficBy: 'Traffic by',
  dimension: 'Dimension',
  protocol: 'Protocol',
  app: 'Application',
  byExporter: 'Exporter',
  src_as: 'Source AS',
  dst_as: 'Destination AS',
  metric: 'Metric',
  bytes: 'bit/s',
  packetsPerSecond: 'packets/s',
  flowsPerSecond: 'flows/s',
  sampling: 'Sampling',
  scaled: 'scaled',
  scaledTitle: 'Multiplied by each record’s sampling rate: an estimate of the real traffic.',
  asExported: 'as exported',
  asExportedTitle: 'What exporters wrote, not multiplied by sampling rates.',

  name: 'Name',
  share: 'Share',
  average: 'Average',
  maximum: 'Max',
  total: 'Total',
  other: 'Other',
  unknown: 'unknown',
  chartOf: 'Chart of {what} over time. The table below holds the same figures.',
  chartHint: 'drag to zoom · double-click to go back',

  topTalkers: 'Top talkers',
  ends: 'Which end',
  sources: 'sources',
  destinations: 'destinations',
  pairs: 'pairs',
  topApplications: 'Top applications',
  topInterfaces: 'Top interfaces',
  inbound: 'In',
  outbound: 'Out',
  interface: 'if {n}',
  noInterface: 'no interface',
  address: 'Address',
  pair: 'Source → destination',
  others: 'Other ({n})',

  onlyThis: 'Only this',
  withoutThis: 'Without this',
  copy: 'Copy',
  copied: 'Copied',
  actionsFor: 'What to do with {name}',

  provenance: 'Where this comes from',
  segments: 'segments',
  rowsScanned: 'rows scanned',
  milliseconds: 'ms',
  damaged: '{n} files could not be read: what they hold is missing here. See the server’s log.',
  sql: 'SQL',
  command: 'The same in a shell',

  noneInRange: 'No flows in this range.',
  noneInRangeFiltered: 'No flows in this range match the filter.',
  storeHolds: 'Stored flows reach from {oldest} to {newest}.',
  showNewest: 'Show the newest',
  clearFilter: 'Clear the filter',

  emptyTitle: 'No flows yet: point an exporter at this collector',
  emptyListening: 'It listens on {addresses}. Every UDP port takes NetFlow, IPFIX and sFlow; TCP and TLS take IPFIX.',
  emptyNotListening: 'It listens on no port: start it with --listen.',
  emptyAddress: 'This collector’s address, as your devices see it',
  emptyWaiting: '{n} datagrams have come, but no flow could be read from them so far. NetFlow v9 and IPFIX need a template first; devices send it every few minutes.',
  emptyThen: 'The first flows show here seconds after they arrive.',
  vendor: 'Device',

  errorUnreachable: 'The server can’t be reached.',
  errorUnreachableDo: 'What is shown may be old. Check that minamo serve runs and that this address is right; the page tries again by itself.',
  errorQuestion: 'The server did not accept the question.',
  errorServer: 'The server could not answer.',
  errorDo: 'Try a shorter range, or look in the server’s log.',
  errorRetry: 'Try again',

  keysTitle: 'Keys',
  keyFilter: 'go to the filter',
  keyRefresh: 'refresh now',
  keyTheme: 'paper or night',
  keyHelp: 'this list',
  keyEscape: 'clear the filter, close what is open',
  filterTitle: 'Filter',
  filterExamples: 'Addresses, networks, ports, protocols, interfaces, AS numbers, with and, or, not and parentheses:',
  apiTitle: 'Everything here comes from the API:',
  version: 'Version {version}',
  close: 'Close',
} as const

export type Key = keyof typeof en
type Messages = Record<Key, string>

const ja: Messages = {
  overview: '概要',
  where: '現在の場所',

  last: '直近 {span}',
  minutes: '{n} 分',
  hours: '{n} 時間',
  days: '{n} 日',
  seconds: '{n} 秒',
  timeRange: '期間',
  from: '開始',
  to: '終了',
  apply: '適用',
  timeZone: 'タイムゾーン: {zone}',
  rangeOrder: '終了は開始より後にしてください。',

  refresh: '更新',
  refreshNow: '今すぐ更新',
  every: '{n} 秒ごと',
  off: 'オフ',

  live: 'ライブ',
  paused: '停止中',
  fixed: '固定期間',
  unreachable: '接続不可',
  lastAnswer: 'サーバーからの最後の応答: {time}',
  never: 'まだなし',

  theme: 'テーマ',
  toPaper: '明るいテーマ',
  toNight: '暗いテーマ',
  language: '言語',
  help: 'キー操作とヘルプ',

  filter: 'フィルター',
  filterHint: 'src net 10.0.0.0/8 and dst port in [53 443] and proto udp',
  filterHelp: 'nfdump・tcpdump 形式のフィルター。Enter で適用、Escape で消去。',
  clear: '消去',
  enterApplies: 'Enter で適用',

  nowBits: '現在',
  exporters: 'エクスポーター',
  exporter: 'エクスポーター',
  nowTitle: '直近 {n} 秒間に全エクスポーターから受信した量(サンプリングレートで換算)。',
  inRange: '{range}の合計',
  inRangeFiltered: '{range}の合計(フィルター適用)',
  totalsTitle: '期間に重なる全フローの全量。グラフとその表は期間内の分だけを数えます。',
  volume: '通信量',
  flows: 'フロー',
  packets: 'パケット',

  problems: '要確認: {list}',
  problemsTitle: 'サーバー起動以降の件数',

  trafficBy: '通信量',
  dimension: '分類',
  protocol: 'プロトコル',
  app: 'アプリケーション',
  byExporter: 'エクスポーター',
  src_as: '送信元 AS',
  dst_as: '宛先 AS',
  metric: '指標',
  bytes: 'bit/s',
  packetsPerSecond: 'パケット/s',
  flowsPerSecond: 'フロー/s',
  sampling: 'サンプリング',
  scaled: '換算値',
  scaledTitle: '各レコードのサンプリングレートを掛けた、実際の通信量の推定値。',
  asExported: 'エクスポート値',
  asExportedTitle: 'エクスポーターが送った値そのまま(サンプリングレートを掛けない)。',

  name: '名前',
  share: '割合',
  average: '平均',
  maximum: '最大',
  total: '合計',
  other: 'その他',
  unknown: '不明',
  chartOf: '{what} の時系列グラフ。同じ数値が下の表にあります。',
  chartHint: 'ドラッグで拡大、ダブルクリックで戻る',

  topTalkers: 'トップトーカー',
  ends: '送信元・宛先',
  sources: '送信元',
  destinations: '宛先',
  pairs: 'ペア',
  topApplications: 'トップアプリケーション',
  topInterfaces: 'トップインターフェース',
  inbound: '入力',
  outbound: '出力',
  interface: 'if {n}',
  noInterface: 'if なし',
  address: 'アドレス',
  pair: '送信元 → 宛先',
  others: 'その他({n})',

  onlyThis: 'これだけ表示',
  withoutThis: 'これを除外',
  copy: 'コピー',
  copied: 'コピーしました',
  actionsFor: '{name} の操作',

  provenance: 'この数値の出どころ',
  segments: 'セグメント',
  rowsScanned: '行を走査',
  milliseconds: 'ms',
  damaged: '{n} 個のファイルを読めず、その内容が欠けています。サーバーのログを確認してください。',
  sql: 'SQL',
  command: '同じ内容をシェルで',

  noneInRange: 'この期間にフローはありません。',
  noneInRangeFiltered: 'この期間にフィルターに一致するフローはありません。',
  storeHolds: '保存済みのフローは {oldest} から {newest} まで。',
  showNewest: '最新を表示',
  clearFilter: 'フィルターを消去',

  emptyTitle: 'フローがまだありません。エクスポーターの送信先をこのコレクターにしてください',
  emptyListening: '待ち受け: {addresses}。UDP のどのポートも NetFlow・IPFIX・sFlow を受け付けます。TCP と TLS は IPFIX だけです。',
  emptyNotListening: '待ち受けポートがありません。--listen を付けて起動してください。',
  emptyAddress: '機器から見たこのコレクターのアドレス',
  emptyWaiting: '{n} 個のデータグラムが届きましたが、まだフローを読み取れていません。NetFlow v9 と IPFIX は先にテンプレートが必要です(機器は数分ごとに送ります)。',
  emptyThen: '最初のフローは届いて数秒でここに現れます。',
  vendor: '機器',

  errorUnreachable: 'サーバーに接続できません。',
  errorUnreachableDo: '表示中の内容は古い可能性があります。minamo serve が動いているか、このアドレスが正しいかを確認してください。自動で再接続します。',
  errorQuestion: 'サーバーが問い合わせを受け付けませんでした。',
  errorServer: 'サーバーが応答できませんでした。',
  errorDo: '期間を短くするか、サーバーのログを確認してください。',
  errorRetry: '再試行',

  keysTitle: 'キー操作',
  keyFilter: 'フィルターへ移動',
  keyRefresh: '今すぐ更新',
  keyTheme: 'テーマ切り替え',
  keyHelp: 'この一覧',
  keyEscape: 'フィルターを消去、開いているものを閉じる',
  filterTitle: 'フィルター',
  filterExamples: 'アドレス、ネットワーク、ポート、プロトコル、インターフェース、AS 番号を and・or・not と括弧で組み合わせます:',
  apiTitle: 'この画面の数値はすべて API から得られます:',
  version: 'バージョン {version}',
  close: '閉じる',
}

export const languages = { en, ja } as const
export type Language = keyof typeof languages

const stored = localStorage.getItem('minamo.language')
export const language = ref<Language>(
  stored === 'en' || stored === 'ja' ? stored : navigator.language.startsWith('ja') ? 'ja' : 'en',
)

watchEffect(() => {
  document.documentElement.lang = language.value
})

export function setLanguage(to: Language): void {
  language.value = to
  localStorage.setItem('minamo.language', to)
}

/** t says a message in the current language, its {place holders} filled. */
export function t(key: Key, values: Record<string, string | number> = {}): string {
  return languages[language.value][key].replace(/\{(\w+)\}/g, (_, name: string) => String(values[name] ?? ''))
}
