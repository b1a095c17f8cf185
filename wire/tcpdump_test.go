package wire_test

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

var (
	tcpdumpDatagram = regexp.MustCompile(`sFlowv5, IPv4 agent (\S+), agent-id (\d+), seqnum (\d+), uptime (\d+), samples`)
	tcpdumpSample   = regexp.MustCompile(`counter sample .*seqnum (\d+), type (\d+), idx (\d+)`)
	tcpdumpRecord   = regexp.MustCompile(`enterprise (\d+), .* \((\d+)\) length`)
	tcpdumpField    = regexp.MustCompile(`([A-Za-z][A-Za-z ]*?) (\d+)`)
)

// readTcpdump reads what tcpdump prints of sFlow: the counters.
func readTcpdump(t *testing.T, file string) records {
	p, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	all := records{}
	var sample, block record
	var fields []counterField
	for _, line := range strings.Split(string(p), "\n") {
		if m := tcpdumpDatagram.FindStringSubmatch(line); m != nil {
			all.put(datagrams, record{"agent": m[1], "sub-agent": m[2], "sequence": m[3], "uptime": m[4]})
			fields = nil
		} else if m := tcpdumpSample.FindStringSubmatch(line); m != nil {
			sample = record{"sequence": m[1], "source": m[2] + ":" + m[3]}
		} else if m := tcpdumpRecord.FindStringSubmatch(line); m != nil {
			k := counterFormats[m[1]+":"+m[2]]
			if fields = k.fields; fields != nil {
				block = record{"sequence": sample["sequence"], "source": sample["source"]}
				all.put(k.kind, block)
			}
		} else {
			side := ""
			for _, s := range []string{"In ", "Out "} {
				if strings.HasPrefix(strings.TrimSpace(line), s) {
					side = s
				}
			}
			for _, m := range tcpdumpField.FindAllStringSubmatch(line, -1) {
				field := side + strings.TrimPrefix(m[1], side)
				for _, c := range fields {
					if c.tcpdump == field {
						block[c.field] = m[2]
					}
				}
			}
		}
	}
	return all
}
