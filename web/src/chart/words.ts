// What charts say themselves.

import { words } from '@/words/i18n'

export const w = words(
  {
    known: '{share} of flows lost: {what}',
    unknownShare: 'flows lost, nobody knows how many: {what}',
    missing_units: 'sequence numbers are missing',
    kernel_drops: 'the kernel dropped datagrams before they were read',
    template_missing: 'their template had not come yet',
    malformed: 'they could not be read',
    restart: 'the exporter restarted',
    silent: 'the exporter was silent',
    collector_stopped: 'the collector did not run',
    moreLosses: 'and {n} more',
    moreRows: 'and {n} more rows',
    cellKeys: 'Arrow keys move the pointer, Enter opens what it points at.',
    rowKeys: 'Arrow keys go from row to row, Enter opens what one can do with it.',
    notDrawn: 'Not drawn: {what}, {figure}, {share}.',
    copyLink: 'Copy link',
    copyLinkTitle: 'Of this panel in Explore, with these very times.',
    keys: 'Left and right move the pointer, with Shift they select, Enter zooms in, minus goes back.',
  },
  {
    known: 'フローの {share} を損失: {what}',
    unknownShare: 'フローの損失あり(量は不明): {what}',
    missing_units: 'シーケンス番号の欠落',
    kernel_drops: '受信前にカーネルがデータグラムを破棄',
    template_missing: 'テンプレート未着',
    malformed: '読み取れないデータ',
    restart: 'エクスポーターの再起動',
    silent: 'エクスポーターが無通信',
    collector_stopped: 'コレクター停止中',
    moreLosses: 'ほか {n} 件',
    moreRows: 'ほか {n} 行',
    cellKeys: '矢印キーでポインターを移動、Enter で開く。',
    rowKeys: '矢印キーで行を移動、Enter で操作を開く。',
    notDrawn: '図に含まないもの: {what}、{figure}、{share}。',
    copyLink: 'リンクをコピー',
    copyLinkTitle: 'このパネルを今の期間のまま「探索」で開くリンク。',
    keys: '左右キーでポインターを移動、Shift で範囲選択、Enter で拡大、マイナスで戻る。',
  },
)
