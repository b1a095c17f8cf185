package capture

import (
	"errors"
	"fmt"
	"net"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/minamo-flow/minamo/wire/packet"
	"github.com/minamo-flow/minamo/wire/pcap"
)

const (
	blockSize = 1 << 20
	retire    = 100 // ms after which the kernel hands over a block that is not full

	// Of a packet in the ring: its header, then from where it came.
	addressAt = (unix.SizeofTpacket3Hdr + 15) &^ 15
	linkAt    = addressAt + 8  // sockaddr_ll.sll_hatype
	kindAt    = addressAt + 10 // sockaddr_ll.sll_pkttype
)

// Socket is one reader of an interface. It is not safe for concurrent use.
type Socket struct {
	Index uint32 // ifIndex

	fd     int
	ring   []byte
	blocks int
	next   int    // block to be read
	tagged []byte // a packet whose VLAN tag was put back
	seen   Stats
	closed atomic.Bool
}

// Open opens the sockets of an interface. It needs CAP_NET_RAW: else the error
// is ErrPermission.
func Open(cfg Config) (sockets []*Socket, err error) {
	i, err := find(cfg.Interface)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			for _, s := range sockets {
				s.Close()
			}
			sockets = nil
			if errors.Is(err, unix.EPERM) || errors.Is(err, unix.EACCES) {
				err = ErrPermission
			} else {
				err = fmt.Errorf("capture on %s: %w", cfg.Interface, err)
			}
		}
	}()
	if i.Flags&net.FlagUp == 0 {
		return nil, fmt.Errorf("it is down: ip link set %s up", cfg.Interface)
	}
	n := max(cfg.Sockets, 1)
	for range n {
		// Protocol 0: nothing comes until the socket is bound.
		fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
		if err != nil {
			return sockets, err
		}
		s := &Socket{Index: uint32(i.Index), fd: fd}
		sockets = append(sockets, s)
		if err := s.open(cfg, i.Index, n); err != nil {
			return sockets, err
		}
	}
	return sockets, nil
}

func (s *Socket) open(cfg Config, index, sharing int) error {
	if err := unix.SetsockoptInt(s.fd, unix.SOL_PACKET, unix.PACKET_VERSION, unix.TPACKET_V3); err != nil {
		return fmt.Errorf("TPACKET_V3: %w", err)
	}
	ring := cfg.Ring
	if ring <= 0 {
		ring = 32 << 20
	}
	s.blocks = max(ring/blockSize, 2)
	request := unix.TpacketReq3{
		Block_size: blockSize, Block_nr: uint32(s.blocks),
		Frame_size: 2048, Frame_nr: uint32(s.blocks) * blockSize / 2048,
		Retire_blk_tov: retire,
	}
	if err := unix.SetsockoptTpacketReq3(s.fd, unix.SOL_PACKET, unix.PACKET_RX_RING, &request); err != nil {
		return fmt.Errorf("ring of %d bytes: %w", s.blocks*blockSize, err)
	}
	var err error
	if s.ring, err = unix.Mmap(s.fd, 0, s.blocks*blockSize, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED); err != nil {
		return fmt.Errorf("ring of %d bytes: %w", s.blocks*blockSize, err)
	}
	if cfg.Promiscuous {
		member := unix.PacketMreq{Ifindex: int32(index), Type: unix.PACKET_MR_PROMISC}
		if err := unix.SetsockoptPacketMreq(s.fd, unix.SOL_PACKET, unix.PACKET_ADD_MEMBERSHIP, &member); err != nil {
			return fmt.Errorf("promiscuous mode: %w", err)
		}
	}
	const all = unix.ETH_P_ALL>>8 | unix.ETH_P_ALL<<8&0xff00 // in network order
	if err := unix.Bind(s.fd, &unix.SockaddrLinklayer{Protocol: all, Ifindex: index}); err != nil {
		return err
	}
	if sharing > 1 {
		// By the hash of addresses and ports, the same for both directions;
		// fragments are put together for it.
		group := int(cfg.Group) | (unix.PACKET_FANOUT_HASH|unix.PACKET_FANOUT_FLAG_DEFRAG)<<16
		if err := unix.SetsockoptInt(s.fd, unix.SOL_PACKET, unix.PACKET_FANOUT, group); err != nil {
			return fmt.Errorf("share the interface: %w", err)
		}
	}
	return nil
}

// Read gives the packets of one block to yield, or none when none came in time;
// the kernel hands over a block when it is full, or after a tenth of a second.
// A packet is valid until yield returns; outgoing are those that this machine
// sent, or forwarded, by the interface. It fails when the interface is gone.
func (s *Socket) Read(patience time.Duration, yield func(p *pcap.Packet, outgoing bool)) error {
	block := s.ring[s.next*blockSize : (s.next+1)*blockSize]
	header := (*unix.TpacketHdrV1)(unsafe.Pointer(&block[8])) // behind version and offset
	if atomic.LoadUint32(&header.Block_status)&unix.TP_STATUS_USER == 0 {
		poll := []unix.PollFd{{Fd: int32(s.fd), Events: unix.POLLIN | unix.POLLERR}}
		if _, err := unix.Poll(poll, int(patience.Milliseconds())); err != nil && err != unix.EINTR {
			return err
		}
		if poll[0].Revents&unix.POLLERR != 0 {
			if code, err := unix.GetsockoptInt(s.fd, unix.SOL_SOCKET, unix.SO_ERROR); err == nil && code != 0 {
				return unix.Errno(code) // the interface is down, or gone
			}
		}
		if atomic.LoadUint32(&header.Block_status)&unix.TP_STATUS_USER == 0 {
			return nil
		}
	}
	var p pcap.Packet
	at := header.Offset_to_first_pkt
	for range header.Num_pkts {
		frame := block[at:]
		h := (*unix.Tpacket3Hdr)(unsafe.Pointer(&frame[0]))
		p.Time = int64(h.Sec)*1e9 + int64(h.Nsec)
		p.Length = int(h.Len)
		p.Data = frame[h.Mac : uint32(h.Mac)+h.Snaplen]
		p.Link = link(*(*uint16)(unsafe.Pointer(&frame[linkAt])))
		if h.Status&unix.TP_STATUS_VLAN_VALID != 0 && p.Link == packet.Ethernet && len(p.Data) >= 12 {
			s.untake(&p, h)
		}
		yield(&p, frame[kindAt] == unix.PACKET_OUTGOING)
		at += h.Next_offset
	}
	atomic.StoreUint32(&header.Block_status, unix.TP_STATUS_KERNEL)
	s.next = (s.next + 1) % s.blocks
	return nil
}

// untake puts the VLAN tag back that the network card took out.
func (s *Socket) untake(p *pcap.Packet, h *unix.Tpacket3Hdr) {
	tpid := uint16(unix.ETH_P_8021Q)
	if h.Status&unix.TP_STATUS_VLAN_TPID_VALID != 0 {
		tpid = h.Hv1.Vlan_tpid
	}
	tci := uint16(h.Hv1.Vlan_tci)
	s.tagged = append(s.tagged[:0], p.Data[:12]...)
	s.tagged = append(s.tagged, byte(tpid>>8), byte(tpid), byte(tci>>8), byte(tci))
	p.Data = append(s.tagged, p.Data[12:]...)
	s.tagged = p.Data
	p.Length += 4
}

// link is the type of what an interface of a kind (ARPHRD_…) gives.
func link(kind uint16) packet.Link {
	switch kind {
	case unix.ARPHRD_ETHER, unix.ARPHRD_LOOPBACK:
		return packet.Ethernet
	case unix.ARPHRD_NONE, unix.ARPHRD_RAWIP, unix.ARPHRD_TUNNEL, unix.ARPHRD_TUNNEL6, unix.ARPHRD_SIT, unix.ARPHRD_IPGRE, unix.ARPHRD_PPP:
		return packet.Raw
	}
	return packet.Link(1<<16 - 1) // is counted as unknown
}

// Stats tells what the kernel counted. It may be called while Read runs, by one
// at a time.
func (s *Socket) Stats() (Stats, error) {
	k, err := unix.GetsockoptTpacketStatsV3(s.fd, unix.SOL_PACKET, unix.PACKET_STATISTICS) // and sets it to zero
	if err != nil {
		return s.seen, err
	}
	s.seen.Packets += uint64(k.Packets)
	s.seen.Drops += uint64(k.Drops)
	return s.seen, nil
}

// Close ends the capture; no Read may run.
func (s *Socket) Close() error {
	if s.closed.Swap(true) {
		return nil
	}
	var err error
	if s.ring != nil {
		err = unix.Munmap(s.ring)
	}
	return errors.Join(err, unix.Close(s.fd))
}
