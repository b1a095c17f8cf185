// Package wire holds no code: its folders are the formats that flows arrive
// in, and its tests compare them with what other decoders say.
//
//   - wire/netflow decodes and encodes NetFlow and IPFIX. It has state: the
//     templates of an exporter.
//   - wire/sflow decodes and encodes sFlow. It has none.
//   - wire/packet reads the headers of a packet, of which sFlow's samples and
//     some IPFIX records hold the beginning.
//
// All three write straight into the columns of a flow.Batch, allocate nothing
// for a flow, take time linear in the bytes they are given, and never fail
// because of them: what is wrong with a datagram is counted by kind, and the
// rest of it decoded. None does I/O. They need nothing of Minamo but package
// flow; collect decides which of them a datagram is for.
//
// wire/pcap beside them reads and writes capture files.
package wire
