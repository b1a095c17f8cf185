// Package probe is a metering process and an exporting process (RFC 7011 §2):
// packets in, flow records out, as a router does it.
//
//	packets → Sampler → wire/packet → Cache → Exporter → collectors
//	          └────────── Meter ─────────┘   └→ a local store
//
// A Meter takes packets as capture gives them. Its Sampler chooses some, their
// headers become rows of a flow.Batch, and the Cache makes flows of the rows;
// the simulator fills such rows itself. What becomes of a packet, and why a
// flow ended, is counted, so that totals can be compared with other programs'.
// An Exporter sends flows as a device of some kind would.
//
// Nothing here reads a clock: time is what the packets say and what the caller
// tells, so that a file gives the same flows at any speed.
package probe
