// Configurations to copy for the devices people have most, the same as in the
// README. COLLECTOR and the port are filled in.

export interface Vendor {
  name: string
  port: number // the protocol's usual one
  configuration: string
}

export const vendors: Vendor[] = [
  {
    name: 'Cisco IOS-XE',
    port: 2055,
    configuration: `flow exporter MINAMO
 destination COLLECTOR
 transport udp PORT
 template data timeout 60
 option sampler-table timeout 60
 option interface-table timeout 300
flow monitor MINAMO-IN
 exporter MINAMO
 record netflow ipv4 original-input
 cache timeout active 60
 cache timeout inactive 15
interface GigabitEthernet0/0/1
 ip flow monitor MINAMO-IN input`,
  },
  {
    name: 'Cisco IOS-XR',
    port: 2055,
    configuration: `flow exporter-map MINAMO
 version v9
  template timeout 60
  options sampler-table timeout 60
  options interface-table timeout 300
 !
 transport udp PORT
 destination COLLECTOR
!
flow monitor-map MINAMO-IPV4
 record ipv4
 exporter MINAMO
 cache timeout active 60
 cache timeout inactive 15
!
sampler-map ONE-IN-1000
 random 1 out-of 1000
!
interface HundredGigE0/0/0/1
 flow ipv4 monitor MINAMO-IPV4 sampler ONE-IN-1000 ingress`,
  },
  {
    name: 'Juniper Junos',
    port: 4739,
    configuration: `set services flow-monitoring version-ipfix template MINAMO flow-active-timeout 60
set services flow-monitoring version-ipfix template MINAMO flow-inactive-timeout 15
set services flow-monitoring version-ipfix template MINAMO template-refresh-rate seconds 60
set services flow-monitoring version-ipfix template MINAMO option-refresh-rate seconds 60
set services flow-monitoring version-ipfix template MINAMO ipv4-template
set forwarding-options sampling instance MINAMO input rate 1000
set forwarding-options sampling instance MINAMO family inet output flow-server COLLECTOR port PORT
set forwarding-options sampling instance MINAMO family inet output flow-server COLLECTOR version-ipfix template MINAMO
set forwarding-options sampling instance MINAMO family inet output inline-jflow source-address 192.0.2.1
set chassis fpc 0 sampling-instance MINAMO
set interfaces et-0/0/1 unit 0 family inet sampling input`,
  },
  {
    name: 'Huawei',
    port: 2055,
    configuration: `ip netstream export version 9
ip netstream export source 192.0.2.1
ip netstream export host COLLECTOR PORT
ip netstream timeout active 1
ip netstream timeout inactive 15
interface GigabitEthernet0/0/1
 ip netstream inbound
 ip netstream sampler fix-packets 1000 inbound`,
  },
  {
    name: 'Arista (sFlow)',
    port: 6343,
    configuration: `sflow sample 4096
sflow polling-interval 20
sflow destination COLLECTOR PORT
sflow source-interface Loopback0
sflow run`,
  },
  {
    name: 'softflowd',
    port: 2055,
    configuration: `softflowd -i eth0 -v 9 -n COLLECTOR:PORT -t maxlife=30 -t expint=5`,
  },
]

/** listeningPorts reads the UDP ports out of addresses like udp://0.0.0.0:2055: they take every protocol. */
export function listeningPorts(listen: string[]): number[] {
  return listen.map((address) => Number(/^udp:.*:(\d+)$/.exec(address)?.[1])).filter((port) => port > 0)
}

/** fill puts the collector's address and one of its ports into a configuration, the usual port if it is open. */
export function fill(vendor: Vendor, collector: string, ports: number[]): string {
  const port = ports.includes(vendor.port) ? vendor.port : (ports[0] ?? vendor.port)
  return vendor.configuration.replaceAll('COLLECTOR', collector).replaceAll('PORT', String(port))
}

/** listeningOn names listening addresses for people: of those that take every address of the machine, the port says it all. */
export function listeningOn(listen: string[]): string {
  return listen.map((address) => address.replace(/^(\w+):\/\/(0\.0\.0\.0|\[::\]):/, (_, scheme: string) => scheme.toUpperCase() + ' ')).join(', ')
}
