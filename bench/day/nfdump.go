package main

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/minamo-flow/minamo/bench/loopback"
	"github.com/minamo-flow/minamo/flow"
	"github.com/minamo-flow/minamo/wire/netflow"
)

// fileMinutes is how long nfcapd writes to a file, as it comes.
const fileMinutes = 5

// writeNfdump sends the flows of the day to nfcapd, as NetFlow v9 and IPFIX
// from four loopback addresses. nfcapd changes files by the wall clock, which
// is not that of the flows: it is started anew for every five minutes of the
// day, and its file is named after them. So there are the 288 files that a
// nfcapd which ran on that day would have left. Files that are there stay.
func writeNfdump(d *day, dir string, progress *progress) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	var file *nfdumpFile
	for minute := 0; ; minute++ {
		b, ok := d.next()
		if !ok {
			return nil
		}
		path := filepath.Join(dir, nfdumpName(d.date, minute))
		if minute%fileMinutes == 0 {
			file = nil
			if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
				if file, err = openNfdump(d.date, path); err != nil {
					return err
				}
			}
		}
		if file != nil {
			err := file.send(b)
			if err == nil && (minute+1)%fileMinutes == 0 {
				err = file.close()
			}
			if err != nil {
				file.receiver.Kill()
				return fmt.Errorf("nfcapd, minute %d: %w", minute, err)
			}
		}
		progress.add(b.Len())
	}
}

// nfdumpName is the name of the file that has the flows of a minute of the day.
func nfdumpName(date time.Time, minute int) string {
	return date.Add(time.Duration(minute/fileMinutes*fileMinutes) * time.Minute).Format("nfcapd.200601021504")
}

// nfdumpFile is a nfcapd that writes one file.
type nfdumpFile struct {
	receiver  *loopback.Receiver
	path, tmp string
	routers   [len(routers)]exporter
	sent      int // flows
	datagrams int
}

type exporter struct {
	conn      *net.UDPConn
	encoder   netflow.Encoder
	templates [2]*netflow.Template // of IPv4, of IPv6
}

// newExporter makes a router that has been running for ten days.
func newExporter(date time.Time, protocol uint8) exporter {
	return exporter{
		encoder:   netflow.Encoder{Version: uint16(protocol), Domain: 1, Boot: date.AddDate(0, 0, -10).UnixMilli()},
		templates: [2]*netflow.Template{template(protocol, 256, false), template(protocol, 257, true)},
	}
}

func openNfdump(date time.Time, path string) (*nfdumpFile, error) {
	f := &nfdumpFile{path: path, tmp: path + ".tmp"}
	if err := errors.Join(os.RemoveAll(f.tmp), os.Mkdir(f.tmp, 0o755)); err != nil {
		return nil, err
	}
	port, err := loopback.FreePort()
	if err != nil {
		return nil, err
	}
	f.receiver, err = loopback.Start(port, "nfcapd", "-b", "127.0.0.1", "-p", strconv.Itoa(port), "-w", f.tmp, "-z", "-t", "86400", "-B", "16777216")
	if err != nil {
		return nil, err
	}
	for i := range routers {
		from, to := &net.UDPAddr{IP: routers[i].address[:]}, &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: port}
		f.routers[i] = newExporter(date, routers[i].protocol)
		f.routers[i].conn, err = net.DialUDP("udp4", from, to)
		if err != nil {
			f.receiver.Kill()
			return nil, err
		}
	}
	return f, nil
}

// template is a router's full record: all that a row of the day has, but the
// sampling rate, for which nfcapd gets no options. So the day's packets and
// bytes are compared as they were exported.
func template(version uint8, id uint16, six bool) *netflow.Template {
	t := &netflow.Template{Version: uint16(version), ID: id}
	add := func(elements ...uint16) {
		for i := 0; i < len(elements); i += 2 {
			t.Fields = append(t.Fields, netflow.TemplateField{Element: elements[i], Length: elements[i+1]})
		}
	}
	add(2, 8, 1, 8) // packets, bytes
	if version == flow.IPFIX {
		add(152, 8, 153, 8) // start, end
	} else {
		add(22, 4, 21, 4)
	}
	add(10, 4, 14, 4, 61, 1, 89, 1, // interfaces, direction, forwarding status
		7, 2, 11, 2, 4, 1, 6, 1, 5, 1, 192, 1, // ports, protocol, TCP flags, ToS, TTL
		16, 4, 17, 4, 58, 2, 59, 2, 136, 1) // AS numbers, VLANs, end reason
	if six {
		add(27, 16, 28, 16, 29, 1, 30, 1, 139, 2) // addresses, masks, ICMP
	} else {
		add(8, 4, 12, 4, 9, 1, 13, 1, 32, 2)
	}
	add(15, 4, 18, 4) // next hops
	return t
}

// datagrams writes rows as their routers would send them.
func datagrams(b *flow.Batch, routers *[len(routers)]exporter, send func(router int, datagram []byte) error) error {
	received, source, senders := b.Time(flow.Received), b.Addr(flow.Exporter), b.Addr(flow.SrcAddr)
	for from := 0; from < b.Len(); {
		to := from + 1
		for to < b.Len() && received[to] == received[from] && source[to] == source[from] && senders[to].Is4() == senders[from].Is4() {
			to++
		}
		i := int(source[from][15]) - 1
		e := &routers[i]
		out := func(datagram []byte) error { return send(i, datagram) }
		t := e.templates[0]
		if !senders[from].Is4() {
			t = e.templates[1]
		}
		if err := e.encoder.Flows(t, b, from, to, received[from], out); err != nil {
			return err
		}
		from = to
	}
	return nil
}

// send sends rows no faster than nfcapd reads them.
func (f *nfdumpFile) send(b *flow.Batch) error {
	f.sent += b.Len()
	return datagrams(b, &f.routers, func(router int, datagram []byte) error {
		if f.datagrams++; f.datagrams%64 == 0 {
			for {
				if n, bound := loopback.Queued(f.receiver.Port); !bound {
					return fmt.Errorf("it is gone:\n%s", &f.receiver.Output)
				} else if n < 1<<20 {
					break
				}
				time.Sleep(time.Millisecond)
			}
		}
		_, err := f.routers[router].conn.Write(datagram)
		return err
	})
}

var nfcapdCount = regexp.MustCompile(`Flows: (\d+),`)

// close lets nfcapd finish, makes sure that it has got everything, and names
// its file.
func (f *nfdumpFile) close() error {
	f.receiver.Drain()
	for i := range f.routers {
		f.routers[i].conn.Close()
	}
	if _, err := f.receiver.Stop(); err != nil {
		return err
	}
	received := 0
	for _, m := range nfcapdCount.FindAllStringSubmatch(f.receiver.Output.String(), -1) {
		n, _ := strconv.Atoi(m[1])
		received += n
	}
	files, err := filepath.Glob(filepath.Join(f.tmp, "nfcapd.*"))
	if err != nil || len(files) != 1 || received != f.sent {
		return fmt.Errorf("%d flows of %d, %d files: a datagram was lost, or the clock passed midnight: start again\n%s", received, f.sent, len(files), &f.receiver.Output)
	}
	return errors.Join(os.Rename(files[0], f.path), os.RemoveAll(f.tmp))
}

// nfdumpTotals are what nfdump says that it holds.
func nfdumpTotals(dir string) (flows, packets, bytes uint64, err error) {
	text, err := exec.Command("nfdump", "-R", dir, "-I").Output()
	if err != nil {
		return 0, 0, 0, err
	}
	values := map[string]uint64{}
	for line := range strings.Lines(string(text)) {
		name, value, _ := strings.Cut(line, ":")
		values[name], _ = strconv.ParseUint(strings.TrimSpace(value), 10, 64)
	}
	return values["Flows"], values["Packets"], values["Bytes"], nil
}
