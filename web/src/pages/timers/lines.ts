// The lines that set a router's timers, by vendor; docs/howto-timers.md has the same.

export const timerLines: { name: string; lines: string }[] = [
  { name: 'Cisco IOS-XE', lines: 'flow monitor MINAMO-IN\n cache timeout active 60\n cache timeout inactive 15' },
  { name: 'Cisco IOS-XR', lines: 'flow monitor-map MINAMO-IPV4\n cache timeout active 60\n cache timeout inactive 15' },
  { name: 'Cisco NX-OS', lines: 'feature netflow\nflow timeout active 60\nflow timeout inactive 15' },
  { name: 'Cisco ASA', lines: 'flow-export active refresh-interval 1' },
  {
    name: 'Juniper Junos',
    lines: 'set services flow-monitoring version-ipfix template MINAMO flow-active-timeout 60\nset services flow-monitoring version-ipfix template MINAMO flow-inactive-timeout 15',
  },
  { name: 'Huawei', lines: 'ip netstream timeout active 1\nip netstream timeout inactive 15' },
  { name: 'Nokia SR OS', lines: 'configure cflowd\n    active-timeout 1\n    inactive-timeout 15' },
  { name: 'FortiGate', lines: 'config system netflow\n    set active-flow-timeout 60\n    set inactive-flow-timeout 15\nend' },
  { name: 'MikroTik', lines: '/ip traffic-flow set active-flow-timeout=1m inactive-flow-timeout=15s' },
  { name: 'softflowd', lines: 'softflowd -i eth0 -v 9 -n 198.51.100.9:2055 -t maxlife=60 -t tcp=15 -t udp=15 -t general=15 -t expint=5' },
  { name: 'YAF', lines: 'yaf --active-timeout 60 --idle-timeout 15' },
]
